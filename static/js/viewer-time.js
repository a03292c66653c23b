// Shows moments on the clock of the viewer; without this script they are in UTC.
"use strict";
(() => {
  const format = new Intl.DateTimeFormat("en-GB", {
    day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
  });
  const show = (root) => {
    for (const time of root.querySelectorAll("time[data-viewer-time]")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      time.title = time.textContent.trim();
      time.textContent = format.format(moment);
      time.removeAttribute("data-viewer-time");
    }
  };
  show(document);
  document.body.addEventListener("htmx:load", (event) => show(event.detail.elt));
})();
