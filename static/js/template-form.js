// The form of a template: parameters that keep what is being typed, unsaved changes, Ctrl+S.
(() => {
  "use strict";

  const PANEL = "template-parameters";
  const SWAP = "keep-typing";
  // Not typed by the user; they change by themselves when the SQL is checked.
  const NOT_TYPED = /^(csrfmiddlewaretoken|version|action|auto:.*|touched:.*)$/;

  const form = document.getElementById("template-form");
  if (!form) return;

  // --- Parameters: what users type is theirs ----------------------------------------------------------------------

  const inputsOf = (root) => [...root.querySelectorAll("[name^='value:']")];
  const named = (root, name) => [...root.querySelectorAll("[name]")].find((input) => input.name === name);

  /** Say in a parameter's hidden fields that its value was typed and no longer comes from the mappings. */
  function claim(input, root) {
    const name = input.name.slice("value:".length);
    const auto = named(root, `auto:${name}`);
    const touched = named(root, `touched:${name}`);
    if (auto) auto.value = "0";
    if (touched) touched.value = "1";
    input.closest("[data-parameter]")?.querySelectorAll("[data-auto-mark]").forEach((mark) => mark.remove());
  }

  form.addEventListener("input", (event) => {
    if (event.target.name?.startsWith("value:")) claim(event.target, form);
  });

  /** Carry over what was typed after the request left: its answer cannot know it. */
  function carryOver(old, fresh, sent) {
    inputsOf(old).forEach((input) => {
      const twin = named(fresh, input.name);
      if (!twin || !sent || input.value === (sent.get(input.name) ?? "").replace(/\r\n?/g, "\n")) return;
      twin.value = input.value;
      claim(twin, fresh);
    });
  }

  /** The ancestors of a node below `root`, itself included, outermost first. */
  function path(node, root) {
    const steps = [];
    for (let at = node; at !== root; at = at.parentNode) steps.unshift(at);
    return steps;
  }

  function copyAttributes(from, to) {
    [...to.attributes].forEach(({ name }) => from.hasAttribute(name) || to.removeAttribute(name));
    [...from.attributes].forEach(({ name, value }) => to.getAttribute(name) === value || to.setAttribute(name, value));
  }

  /** Make `old` what `fresh` is without ever taking the kept node out of the page: no focus, no caret is lost. */
  function replaceAround(old, fresh, oldSteps, freshSteps) {
    copyAttributes(fresh, old);
    const [kept, ...oldRest] = oldSteps;
    const [twin, ...freshRest] = freshSteps;
    [...old.childNodes].forEach((node) => node === kept || node.remove());
    while (fresh.firstChild !== twin) kept.before(fresh.firstChild);
    while (twin.nextSibling) old.append(twin.nextSibling);
    if (oldRest.length) replaceAround(kept, twin, oldRest, freshRest);
  }

  /** Where the focused input and its successor are; null when nothing needs to be kept. */
  function keptSteps(target, fresh) {
    const focused = document.activeElement;
    const twin = target.contains(focused) && focused.name ? named(fresh, focused.name) : null;
    if (twin?.tagName !== focused.tagName || twin.type !== focused.type) return null;
    const steps = [path(focused, target), path(twin, fresh)];
    return steps[0].length === steps[1].length ? steps : null;
  }

  let sent = null;

  function swapPanel(style, target, fragment, settleInfo) {
    const fresh = fragment.querySelector(`#${PANEL}`);
    if (style !== SWAP || !fresh) return false;
    carryOver(target, fresh, sent);
    const steps = keptSteps(target, fresh);
    if (steps) {
      replaceAround(target, fresh, ...steps);
      return [target];
    }
    target.replaceWith(fresh);
    settleInfo.elts = [fresh];
    return [fresh];
  }

  function listenToHtmx() {
    window.htmx.defineExtension(SWAP, { handleSwap: swapPanel });
    form.setAttribute("hx-ext", SWAP);
    document.addEventListener("htmx:beforeSwap", (event) => {
      if (event.detail.target?.id !== PANEL) return;
      sent = event.detail.requestConfig.formData;
      // An answer without the panel (an error page, say) is swapped as htmx would.
      if (event.detail.serverResponse.includes(`id="${PANEL}"`)) event.detail.swapOverride = SWAP;
    });
  }
  if (window.htmx) listenToHtmx();

  // --- Saving ------------------------------------------------------------------------------------------------------

  const typed = () => JSON.stringify([...new FormData(form)].filter(([name]) => !NOT_TYPED.test(name)));
  // A form the server sent back was never saved.
  const wasRefused = Boolean(form.querySelector(".is-invalid, .alert-danger")) || "unsaved" in form.dataset;
  const loaded = typed();
  let isLeaving = false;

  const save = () => form.requestSubmit(form.querySelector("[data-save]") || form.querySelector("[value=save]"));

  window.addEventListener("submit", (event) => {
    if (event.target === form && !event.defaultPrevented) isLeaving = true;
  });
  window.addEventListener("pageshow", () => (isLeaving = false));
  window.addEventListener("beforeunload", (event) => {
    if (isLeaving || (!wasRefused && typed() === loaded)) return;
    event.preventDefault();
    event.returnValue = ""; // what older browsers look at
  });

  document.addEventListener("keydown", (event) => {
    const isSave = event.key.toLowerCase() === "s" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    if (!isSave) return;
    event.preventDefault();
    save();
  });
  // Enter would press the first button of the form, which may be a fix of the lint list.
  form.addEventListener("keydown", (event) => {
    const isField = event.target.matches("input:not([type=checkbox], [type=radio], [type=submit])");
    if (event.key !== "Enter" || !isField || event.defaultPrevented || event.isComposing) return;
    event.preventDefault();
    save();
  });
})();
