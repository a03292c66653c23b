// <input data-chips list="..."> with comma-separated names becomes chips with suggestions.
// The original input stays in the form, hidden, with the same name and value.

const MAX_LENGTH = 100;
const MAX_SUGGESTIONS = 8;
let numbered = 0;

const fold = (text) => text.trim().toLocaleLowerCase();

/** "A, b ,a" → ["A", "b"]: trimmed, no empty ones, no duplicates that differ in case only. */
function parseNames(text) {
  const seen = new Set();
  return text.split(",").map((name) => name.trim().replace(/\s+/g, " ")).filter((name) => {
    const key = fold(name);
    if (!key || seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function element(tag, attributes) {
  const made = document.createElement(tag);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  return made;
}

function crossIcon() {
  const holder = document.createElement("span");
  holder.innerHTML = '<svg class="icon" aria-hidden="true"><use></use></svg>';
  holder.querySelector("use").setAttribute("href", `${document.body.dataset.icons}#x`);
  return holder.firstChild;
}

class Chips {
  constructor(source) {
    this.source = source;
    this.names = parseNames(source.value);
    this.suggestions = [...(source.list?.options || [])].map((option) => option.value);
    this.marked = -1;
    this.build(`chips-${++numbered}`);
    this.listen();
    this.draw();
  }

  build(id) {
    const label = document.querySelector(`label[for="${CSS.escape(this.source.id)}"]`);
    this.root = element("div", { class: "chips" });
    this.box = element("div", { class: "form-control chips-box" });
    this.list = element("ul", { class: "chips-list", "aria-label": "Chosen" });
    this.entry = element("input", {
      id, class: "chips-entry", type: "text", role: "combobox", autocomplete: "off",
      "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${id}-options`,
    });
    this.options = element("ul", { id: `${id}-options`, class: "chips-options", role: "listbox", "aria-label": "Suggestions" });
    this.error = element("div", { id: `${id}-error`, class: "chips-error", role: "alert" });
    this.live = element("div", { class: "visually-hidden", "aria-live": "polite" });
    this.options.hidden = true;
    this.describe(label);
    this.box.append(this.list, this.entry);
    this.root.append(this.box, this.options, this.error, this.live);
    this.source.after(this.root);
    this.source.type = "hidden";
  }

  describe(label) {
    if (label) label.htmlFor = this.entry.id;
    else this.entry.setAttribute("aria-label", this.source.getAttribute("aria-label") || "Names");
    const described = [this.source.getAttribute("aria-describedby"), this.error.id].filter(Boolean);
    this.entry.setAttribute("aria-describedby", described.join(" "));
    if (this.source.getAttribute("aria-invalid") === "true") this.entry.setAttribute("aria-invalid", "true");
    if (this.source.classList.contains("is-invalid")) this.box.classList.add("is-invalid");
    this.entry.placeholder = this.source.placeholder || "";
  }

  listen() {
    this.box.addEventListener("click", (event) => event.target === this.box && this.entry.focus());
    this.entry.addEventListener("input", () => this.typed());
    this.entry.addEventListener("keydown", (event) => this.pressed(event));
    this.entry.addEventListener("focus", () => this.suggest());
    this.entry.addEventListener("blur", () => {
      this.take(this.entry.value);
      this.close();
    });
    // mousedown: a click would come after the entry lost the focus and closed the list.
    this.options.addEventListener("mousedown", (event) => {
      event.preventDefault();
      const option = event.target.closest("li");
      if (option) this.choose(option.textContent);
    });
  }

  typed() {
    if (this.entry.value.includes(",")) this.take(this.entry.value);
    this.check(this.entry.value);
    this.suggest();
  }

  pressed(event) {
    const shown = this.options.children.length;
    if (event.key === "Enter" && (this.marked >= 0 || this.entry.value.trim())) {
      event.preventDefault();
      if (this.marked >= 0) this.choose(this.options.children[this.marked].textContent);
      else this.take(this.entry.value);
    } else if (event.key === "Backspace" && !this.entry.value && this.names.length) {
      this.remove(this.names.at(-1));
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (this.options.hidden) this.suggest();
      else this.mark((this.marked + (event.key === "ArrowDown" ? 1 : -1) + shown) % shown);
    } else if (event.key === "Escape" && !this.options.hidden) {
      event.stopPropagation();
      this.close();
    }
  }

  check(text) {
    const tooLong = text.trim().length > MAX_LENGTH;
    this.error.textContent = tooLong ? `At most ${MAX_LENGTH} characters; this has ${text.trim().length}.` : "";
    return !tooLong;
  }

  /** Turn what was typed into chips; a name that is too long stays in the entry. */
  take(text) {
    const names = parseNames(text);
    const good = names.filter((name) => name.length <= MAX_LENGTH);
    this.entry.value = names.filter((name) => name.length > MAX_LENGTH).join(" ");
    this.check(this.entry.value);
    const before = this.names.length;
    this.names = parseNames([...this.names, ...good].join(","));
    if (this.names.length > before) this.live.textContent = `${this.names.slice(before).join(", ")} added`;
    this.draw();
  }

  choose(name) {
    this.entry.value = "";
    this.take(name);
    this.entry.focus();
    this.close();
  }

  remove(name) {
    this.names = this.names.filter((other) => other !== name);
    this.live.textContent = `${name} removed`;
    this.draw();
    this.entry.focus();
  }

  draw() {
    this.list.replaceChildren(...this.names.map((name) => this.chip(name)));
    const value = this.names.join(", ");
    if (this.source.value === value) return;
    this.source.value = value;
    this.source.dispatchEvent(new Event("change", { bubbles: true }));
  }

  chip(name) {
    const item = element("li", { class: "chip" });
    const text = element("span", { class: "chip-text", title: name });
    const button = element("button", { type: "button", class: "chip-remove", "aria-label": `Remove ${name}` });
    text.textContent = name;
    button.append(crossIcon());
    button.addEventListener("click", () => this.remove(name));
    item.append(text, button);
    return item;
  }

  suggest() {
    const wanted = fold(this.entry.value);
    const taken = new Set(this.names.map(fold));
    const found = this.suggestions.filter((name) => fold(name).includes(wanted) && !taken.has(fold(name)));
    this.options.replaceChildren(...found.slice(0, MAX_SUGGESTIONS).map((name, index) => {
      const option = element("li", { role: "option", id: `${this.options.id}-${index}`, "aria-selected": "false" });
      option.textContent = name;
      return option;
    }));
    this.options.hidden = found.length === 0;
    this.entry.setAttribute("aria-expanded", String(!this.options.hidden));
    this.mark(-1);
  }

  mark(index) {
    this.marked = index;
    [...this.options.children].forEach((option, place) => {
      option.setAttribute("aria-selected", String(place === index));
      if (place === index) option.scrollIntoView({ block: "nearest" });
    });
    if (index >= 0) this.entry.setAttribute("aria-activedescendant", this.options.children[index].id);
    else this.entry.removeAttribute("aria-activedescendant");
  }

  close() {
    this.options.hidden = true;
    this.entry.setAttribute("aria-expanded", "false");
    this.mark(-1);
  }
}

function enhance(root) {
  root.querySelectorAll("input[data-chips]:not([data-chips-ready])").forEach((source) => {
    source.dataset.chipsReady = "yes";
    new Chips(source);
  });
}

document.addEventListener("htmx:afterSettle", () => enhance(document));
enhance(document);
