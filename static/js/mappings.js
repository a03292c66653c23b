// The form of mappings: how far an upload is, and when a paste or a file is too large.

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

const TOO_MUCH = {
  textarea: "This is too much to paste. Save it as a file and upload that.",
  file: "This file is too large. Split it into several files.",
};

/** Say what is too large before it is sent: the server would refuse the whole request. */
function limitSize(event) {
  const field = event.target;
  if (!field.matches?.("[data-max-bytes]")) return;
  const size = field.files ? (field.files[0]?.size ?? 0) : new Blob([field.value]).size;
  field.setCustomValidity(size > Number(field.dataset.maxBytes) ? TOO_MUCH[field.type] : "");
  field.reportValidity();
}

document.addEventListener("htmx:beforeRequest", watchUpload);
document.addEventListener("htmx:afterRequest", endUpload);
document.addEventListener("input", limitSize);
