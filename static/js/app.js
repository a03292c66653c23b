// Behaviour every page shares. Everything works without it; htmx does the talking to the server.

const TOAST_MILLISECONDS = 6000;
const AUTOSUBMIT_DELAY_MILLISECONDS = 400;
const TOAST_ICONS = { success: "circle-check", error: "alert-circle", warning: "alert-triangle", info: "info-circle" };

/** An icon of the sprite as an element. */
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${document.body.dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}

/** Have a screen reader say `text` when it has finished what it is saying. */
function announce(text) {
  const region = document.getElementById("announcer");
  if (!region) return;
  const line = document.createElement("p");
  line.textContent = text;
  region.append(line);
  setTimeout(() => line.remove(), TOAST_MILLISECONDS * 2);
}

// --- Toasts -----------------------------------------------------------------

/** Hide a toast by itself, but never an error and never while it is being read. */
function hideLater(toast) {
  if (toast.classList.contains("is-error")) return;
  let timer;
  const start = () => (timer = setTimeout(() => toast.remove(), TOAST_MILLISECONDS));
  const stop = () => clearTimeout(timer);
  toast.addEventListener("mouseenter", stop);
  toast.addEventListener("focusin", stop);
  toast.addEventListener("mouseleave", start);
  toast.addEventListener("focusout", start);
  start();
}

function enhanceToast(toast) {
  if (toast.dataset.ready) return;
  toast.dataset.ready = "yes";
  toast.querySelector(".toast-close")?.addEventListener("click", () => toast.remove());
  hideLater(toast);
  // A region filled before the page was read is not announced; a line added afterwards is.
  setTimeout(() => announce(toast.querySelector(".toast-text").textContent.trim()), 150);
}

/** Show a message; `level` is success, info, warning or error. */
function showToast(text, level) {
  // A page that polls would otherwise pile up the same error every second.
  const shown = [...document.querySelectorAll("#messages .toast-text")];
  if (shown.some((words) => words.textContent === text)) return;
  const toast = document.createElement("div");
  const words = document.createElement("span");
  const close = document.createElement("button");
  toast.className = `toast-note is-${level}`;
  words.className = "toast-text";
  words.textContent = text;
  close.type = "button";
  close.className = "toast-close";
  close.setAttribute("aria-label", "Close");
  close.append(icon("x"));
  toast.append(icon(TOAST_ICONS[level]), words, close);
  document.getElementById("messages")?.append(toast);
  enhanceToast(toast);
}

function enhanceToasts() {
  document.querySelectorAll("[data-toast]").forEach(enhanceToast);
}

// --- Theme ------------------------------------------------------------------

function markTheme() {
  document.querySelectorAll("[data-theme-switch] button").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.value === window.amcTheme.chosen()));
  });
}

function chooseTheme(event) {
  const button = event.target.closest("[data-theme-switch] button");
  if (!button) return;
  window.amcTheme.choose(button.value);
  markTheme();
}

// --- Menus on <details data-menu> ---------------------------------------------

function closeMenus(except) {
  document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
    if (!menu.contains(except)) menu.open = false;
  });
}

function closeMenuOnEscape(event) {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details[data-menu][open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
}

/** Take a menu out of a scrolling table, which would cut it off. */
function placeMenu(event) {
  const menu = event.target;
  if (!menu.matches?.("details.menu[data-menu]:not(.menu-up)")) return;
  const list = menu.querySelector(".menu-list");
  if (!menu.open || !list || !menu.closest(".table-responsive")) return;
  const button = menu.getBoundingClientRect();
  list.style.position = "fixed";
  list.style.left = `${Math.max(8, button.right - list.offsetWidth)}px`;
  list.style.right = "auto";
  const below = button.bottom + 4;
  const fits = below + list.offsetHeight < window.innerHeight;
  list.style.top = `${fits ? below : Math.max(8, button.top - list.offsetHeight - 4)}px`;
}

// --- Tables: [data-select-all="#table"] over input[data-select] ------------------

function selectionOf(master) {
  const scope = document.querySelector(master.dataset.selectAll) || master.closest("form, table");
  return scope ? [...scope.querySelectorAll("input[data-select]:not(:disabled)")] : [];
}

/** Bring the master box, the count and the bulk bar in line with the rows. */
function showSelection() {
  const masters = [...document.querySelectorAll("input[data-select-all]")];
  masters.forEach((master) => {
    const boxes = selectionOf(master);
    const count = boxes.filter((box) => box.checked).length;
    master.checked = count > 0 && count === boxes.length;
    master.indeterminate = count > 0 && count < boxes.length;
    const root = master.closest("[data-selection]") || document;
    root.querySelectorAll("[data-select-count]").forEach((place) => (place.textContent = `${count} selected`));
    root.querySelectorAll("[data-select-bar]").forEach((bar) => (bar.hidden = count === 0));
    root.querySelectorAll("[data-select-needed]").forEach((button) => (button.disabled = count === 0));
  });
}

function changeSelection(event) {
  if (event.target.matches("input[data-select-all]")) {
    selectionOf(event.target).forEach((box) => (box.checked = event.target.checked));
  }
  if (event.target.matches("input[data-select-all], input[data-select]")) showSelection();
}

// --- Copy -------------------------------------------------------------------

async function copyText(event) {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    showToast("The browser did not allow copying. Select the text and copy it yourself.", "warning");
    return;
  }
  announce("Copied");
  button.classList.add("is-copied");
  button.replaceChildren(icon("check"));
  setTimeout(() => {
    button.classList.remove("is-copied");
    button.replaceChildren(icon("copy"));
  }, 1500);
}

// --- Back to the form that was refused: <a data-back href="…"> --------------------

function goBack(event) {
  if (!event.target.closest("[data-back]") || window.history.length < 2) return;
  event.preventDefault();
  window.history.back();
}

// --- Confirmation: <form data-confirm="Question" data-confirm-label="Delete"> ----

function buildDialog(question, label) {
  const dialog = document.createElement("dialog");
  dialog.className = "confirm-dialog";
  dialog.innerHTML =
    '<form method="dialog"><p class="confirm-text" id="confirm-text"></p><div class="form-actions">' +
    '<button class="btn" value="no">Cancel</button><button class="btn btn-danger" value="yes"></button></div></form>';
  dialog.setAttribute("aria-labelledby", "confirm-text");
  dialog.querySelector(".confirm-text").textContent = question;
  dialog.querySelector(".btn-danger").textContent = label || "Continue";
  return dialog;
}

/** Ask `question`; `onYes` runs when the answer is yes. */
function ask(question, label, onYes) {
  const dialog = buildDialog(question, label);
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (dialog.returnValue === "yes") onYes();
  });
  dialog.showModal();
}

function confirmSubmit(event) {
  const form = event.target;
  const question = event.submitter?.dataset.confirm || form.dataset.confirm;
  if (!question || form.dataset.confirmed) {
    delete form.dataset.confirmed;
    return;
  }
  event.preventDefault();
  event.stopImmediatePropagation();
  const submitter = event.submitter;
  ask(question, submitter?.dataset.confirmLabel || form.dataset.confirmLabel || submitter?.textContent.trim(), () => {
    form.dataset.confirmed = "yes";
    form.requestSubmit(submitter);
  });
}

/** `hx-confirm` asks with the same dialog. */
function confirmRequest(event) {
  if (!event.detail.question) return;
  event.preventDefault();
  ask(event.detail.question, event.detail.elt.dataset.confirmLabel, () => event.detail.issueRequest(true));
}

// --- htmx -------------------------------------------------------------------

const STATUS_SENTENCES = {
  400: "The request was not understood. Reload the page and try again.",
  403: "Access denied: this belongs to somebody else, or the page is too old. Reload it and try again.",
  404: "This no longer exists. Reload the page to see what is there now.",
  409: "This is not possible in the present state. Reload the page to see it.",
  413: "This is more than the server takes at once. Nothing was saved; what you typed is still here: split it.",
  429: "Too many requests. Wait a moment and try again.",
};

function showResponseError(event) {
  const { xhr } = event.detail;
  const { status } = xhr;
  // Plain text is a sentence for people; pages of errors, a proxy's too, are not shown in a toast.
  if (xhr.getResponseHeader("Content-Type")?.startsWith("text/plain") && xhr.responseText) {
    showToast(xhr.responseText, "error");
    return;
  }
  const fallback = status >= 500
    ? `Something went wrong on the server (${status}). Nothing you typed is lost; try again.`
    : `The server refused the request (${status}).`;
  showToast(STATUS_SENTENCES[status] || fallback, "error");
}

function setBusy(event) {
  const busy = event.type === "htmx:beforeRequest";
  const { target, elt } = event.detail;
  [target, elt].forEach((element) => {
    if (!element?.setAttribute || element === document.body) return;
    if (busy) element.setAttribute("aria-busy", "true");
    else element.removeAttribute("aria-busy");
  });
}

function listenToHtmx() {
  document.addEventListener("htmx:responseError", showResponseError);
  document.addEventListener("htmx:sendError", () =>
    showToast("The server cannot be reached. Check the network connection and try again.", "error"));
  document.addEventListener("htmx:timeout", () =>
    showToast("The server did not answer in time. It may still be working; reload the page to see.", "error"));
  document.addEventListener("htmx:confirm", confirmRequest);
  document.addEventListener("htmx:beforeRequest", setBusy);
  document.addEventListener("htmx:afterRequest", setBusy);
  ["htmx:oobAfterSwap", "htmx:afterSettle"].forEach((name) =>
    document.addEventListener(name, () => {
      enhanceToasts();
      showSelection();
    }));
}

// --- Filters ------------------------------------------------------------------

/** Submit filter forms on change where htmx is not there to do it. */
function autosubmit(event) {
  const form = event.target.closest?.("form[data-autosubmit]");
  if (!form || window.htmx) return;
  clearTimeout(form.autosubmitTimer);
  form.autosubmitTimer = setTimeout(() => form.requestSubmit(), AUTOSUBMIT_DELAY_MILLISECONDS);
}

document.addEventListener("click", (event) => closeMenus(event.target));
document.addEventListener("click", chooseTheme);
document.addEventListener("click", copyText);
document.addEventListener("click", goBack);
document.addEventListener("keydown", closeMenuOnEscape);
document.addEventListener("toggle", placeMenu, true);
document.addEventListener("scroll", (event) => event.target === document && closeMenus(null), true);
document.addEventListener("change", changeSelection);
document.addEventListener("change", autosubmit);
document.addEventListener("submit", confirmSubmit, true);
window.addEventListener("pageshow", showSelection); // the browser restores boxes when going back
listenToHtmx();
markTheme();
enhanceToasts();
showSelection();
