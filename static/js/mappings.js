// The form of mappings: how far an upload is, and when a paste is too long for a form.

/** Say how far the file of `form` is; without a fraction the server is reading and saving. */
function showUpload(form, fraction) {
  const place = form.querySelector("[data-upload-state]");
  const bar = place.querySelector("progress");
  place.hidden = false;
  if (fraction < 1) bar.value = Math.round(fraction * 100);
  else bar.removeAttribute("value");
  const text = fraction < 1 ? `Uploading: ${Math.round(fraction * 100)} %` : "Reading and checking every line…";
  const words = place.querySelector("[data-upload-text]");
  if (words.textContent !== text) words.textContent = text;
}

function watchUpload(event) {
  const form = event.target.closest?.("form[data-upload]");
  if (!form || !event.detail.xhr) return;
  showUpload(form, 0);
  // The upload's own events: htmx reports the answer's progress under the same name.
  event.detail.xhr.upload.addEventListener("progress", ({ lengthComputable, loaded, total }) => {
    if (lengthComputable) showUpload(form, loaded / total);
  });
  event.detail.xhr.upload.addEventListener("load", () => showUpload(form, 1));
}

function endUpload(event) {
  const place = event.target.closest?.("form[data-upload]")?.querySelector("[data-upload-state]");
  if (place) place.hidden = true;
}

/** A form field has a limit, a file has not: say so before the server refuses the whole request. */
function limitPaste(event) {
  const field = event.target;
  if (!field.matches?.("textarea[data-max-bytes]")) return;
  const isTooLong = new Blob([field.value]).size > Number(field.dataset.maxBytes);
  field.setCustomValidity(isTooLong ? "This is too much to paste. Save it as a file and upload that." : "");
  field.reportValidity();
}

document.addEventListener("htmx:beforeRequest", watchUpload);
document.addEventListener("htmx:afterRequest", endUpload);
document.addEventListener("input", limitPaste);
