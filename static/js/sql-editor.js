// <textarea data-sql-editor> becomes an editor, <textarea data-sql-view> a read-only view, both on CodeMirror.
// The textarea stays in the form, hidden, with its name and value; without this script it simply works.
(() => {
  "use strict";

  const {
    Decoration, EditorState, EditorView, HighlightStyle, MatchDecorator, Prec, SQLDialect, ViewPlugin,
    acceptCompletion, autocompletion, bracketMatching, closeBrackets, closeBracketsKeymap, completionKeymap,
    defaultKeymap, highlightActiveLine, highlightActiveLineGutter, highlightSelectionMatches, highlightSpecialChars,
    history, historyKeymap, indentUnit, indentWithTab, isolateHistory, keymap, lineNumbers, lintGutter, lintKeymap,
    search, searchKeymap, setDiagnostics, sql, syntaxHighlighting, syntaxTree, tags,
  } = window.CodeMirror;

  const HINT = "Esc, then Tab leaves · Ctrl+Space completes · Ctrl+F finds";
  const NATIVE_VALUE = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value");
  let numbered = 0;

  // --- Places: the server counts lines and columns from 1, in code points; CodeMirror counts UTF-16 units from 0 ----

  class Places {
    constructor(text) {
      this.text = text;
      this.starts = [0];
      for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.starts.push(at + 1);
    }

    /** The UTF-16 offset of `points` code points behind `start`. */
    after(points, start = 0) {
      let at = start;
      for (let left = points; left > 0 && at < this.text.length; left--) at += this.text.codePointAt(at) > 0xffff ? 2 : 1;
      return at;
    }

    /** The UTF-16 offset of "line:column"; what lies outside is moved to the edge. */
    offset(place) {
      const [line, column] = place.split(":").map(Number);
      const index = Math.min(Math.max(line || 1, 1), this.starts.length) - 1;
      const end = index + 1 < this.starts.length ? this.starts[index + 1] - 1 : this.text.length;
      return Math.min(this.after((column || 1) - 1, this.starts[index]), end);
    }
  }

  /** The one stretch in which two texts differ, as a change from the first to the second. */
  function difference(before, after) {
    const shorter = Math.min(before.length, after.length);
    let from = 0;
    while (from < shorter && before[from] === after[from]) from++;
    let same = 0;
    while (same < shorter - from && before.at(-1 - same) === after.at(-1 - same)) same++;
    return { from, to: before.length - same, insert: after.slice(from, after.length - same) };
  }

  /** Where an offset of the text before a change is now; null when the change went over it. */
  function carry(offset, change) {
    if (offset <= change.from) return offset;
    return offset < change.to ? null : offset + change.insert.length - (change.to - change.from);
  }

  function setText(view, text) {
    const change = difference(view.state.doc.toString(), text);
    if (change.from !== change.to || change.insert) view.dispatch({ changes: change });
  }

  // --- Language and colours ----------------------------------------------------------------------------------------

  const dialect = SQLDialect.define({
    keywords: "all and array as asc between by case cross current_date current_timestamp day desc distinct else end "
      + "escape except exists filter first following from full group having hour if in inner intersect interval into is "
      + "join last lateral left like limit minute month not nulls offset on or order outer over partition preceding "
      + "quarter range right row rows second select similar table then to unbounded union unnest using values week when "
      + "where window with within year",
    types: "bigint binary boolean char date decimal double float int integer long numeric real smallint string time "
      + "timestamp tinyint varbinary varchar",
    identifierQuotes: "\"`",
  });

  // Classes only: css/templates.css has the look, which follows the page's theme.
  const colours = HighlightStyle.define([
    { tag: [tags.keyword, tags.bool, tags.null], class: "cm-sql-keyword" },
    { tag: tags.typeName, class: "cm-sql-type" },
    { tag: [tags.string, tags.special(tags.string)], class: "cm-sql-string" },
    { tag: tags.number, class: "cm-sql-number" },
    { tag: [tags.lineComment, tags.blockComment], class: "cm-sql-comment" },
  ]);

  // `{{name}}` anywhere, `:name` and `$name` in code; a name before a parenthesis is a function.
  const NAME = "[\\p{L}_][\\p{L}\\p{N}\\p{M}_]*";
  const MARKED = new RegExp(
    `\\{\\{\\s*${NAME}\\s*\\}\\}|(?<![\\p{L}\\p{N}_:$)\\]}'"\`])[:$]${NAME}(?!\\$)|${NAME}(?=\\s*\\()`, "gu",
  );
  const parameterMark = Decoration.mark({ class: "cm-sql-parameter" });
  const functionMark = Decoration.mark({ class: "cm-sql-function" });

  const tokenAt = (state, offset) => syntaxTree(state).resolveInner(offset, 1).name;

  const marker = new MatchDecorator({
    regexp: MARKED,
    decorate(add, from, to, [text], view) {
      const token = tokenAt(view.state, from);
      if (token.endsWith("Comment")) return;
      if (text.startsWith("{{")) add(from, to, parameterMark);
      else if (token === "String" || token === "QuotedIdentifier") return;
      else if (text[0] === ":" || text[0] === "$") add(from, to, parameterMark);
      else if (token === "Identifier") add(from, to, functionMark);
    },
  });

  // Drawn anew for what is visible: an opened comment changes lines that were not touched.
  const marks = Prec.highest(ViewPlugin.fromClass(class {
    constructor(view) {
      this.decorations = marker.createDeco(view);
    }

    update(update) {
      const isParsed = syntaxTree(update.startState) !== syntaxTree(update.state);
      if (update.docChanged || update.viewportChanged || isParsed) this.decorations = marker.createDeco(update.view);
    }
  }, { decorations: (plugin) => plugin.decorations }));

  const common = [
    lineNumbers(), highlightSpecialChars(), bracketMatching(), search({ top: true }), highlightSelectionMatches(),
    sql({ dialect }), syntaxHighlighting(colours), marks,
  ];

  // --- Completion --------------------------------------------------------------------------------------------------

  const schemas = new Map();

  /** What can be completed, loaded once per page when it is first needed; null when it cannot be had. */
  function loadSchema(url) {
    if (!schemas.has(url)) {
      const loading = fetch(url, { credentials: "same-origin" })
        .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status)))))
        .then(prepareSchema)
        .catch(() => {
          schemas.delete(url); // the next keystroke may have more luck
          return null;
        });
      schemas.set(url, loading);
    }
    return schemas.get(url);
  }

  function prepareSchema({ keywords, functions, tables }) {
    return {
      words: [
        ...functions.map(({ name, group }) => ({ label: name, type: "function", detail: group })),
        ...keywords.map((label) => ({ label, type: "keyword", boost: -1 })),
      ],
      tables: Object.keys(tables).map((label) => ({ label, type: "class", detail: "table" })),
      columns: new Map(Object.entries(tables).map(([name, columns]) => [name.toLowerCase(), columns.map(columnOption)])),
    };
  }

  function columnOption([label, type, threshold, description]) {
    const info = [description, threshold && `Aggregation threshold: ${String(threshold).toLowerCase()}`]
      .filter(Boolean).join(" ") || undefined;
    return { label, type: "property", detail: String(type).toLowerCase(), info, boost: 1 };
  }

  const NO_ALIAS = /^(as|cross|full|group|having|inner|join|left|limit|on|order|outer|right|union|using|where|window)$/i;

  /** The tables a query names, by table name and by alias. */
  function namedTables(text) {
    const named = new Map();
    for (const [, table, alias] of text.matchAll(/\b(?:from|join)\s+(\w+)(?:\s+(?:as\s+)?([a-z_]\w*))?/gi)) {
      named.set(table.toLowerCase(), table.toLowerCase());
      if (alias && !NO_ALIAS.test(alias)) named.set(alias.toLowerCase(), table.toLowerCase());
    }
    return named;
  }

  const unique = (options) => [...new Map(options.map((option) => [option.label, option])).values()];

  function completionsFor(schema, before, text) {
    const named = namedTables(text);
    const qualifier = /(\w+)["`]?\.["`]?$/.exec(before)?.[1].toLowerCase();
    if (qualifier) return schema.columns.get(named.get(qualifier) || qualifier) || [];
    const queries = [...text.matchAll(/\b([a-z_]\w*)\s+as\s*\(\s*(?=select|with|values)/gi)]
      .map(([, label]) => ({ label, type: "class", detail: "this query" }));
    if (/\b(from|join)\s+$/i.test(before)) return unique([...queries, ...schema.tables]);
    const columns = [...new Set(named.values())].flatMap((table) => schema.columns.get(table) || []);
    const aliases = [...named].filter(([name, table]) => name !== table)
      .map(([label, table]) => ({ label, type: "variable", detail: table }));
    return [...unique([...columns, ...aliases, ...queries]), ...schema.words];
  }

  function completionSource(url) {
    return async (context) => {
      const { state, pos } = context;
      const from = context.matchBefore(/[\p{L}_][\p{L}\p{N}_]*/u)?.from ?? pos;
      const before = state.sliceDoc(Math.max(0, from - 200), from);
      if (/Comment$|^String$/.test(syntaxTree(state).resolveInner(pos, -1).name) || /[{:$]\s*$/.test(before)) return null;
      const isAsked = from < pos || context.explicit || /(\w["`]?\.|\b(from|join)\s+)$/i.test(before);
      const schema = isAsked && (await loadSchema(url));
      if (!schema || context.aborted) return null;
      return { from, options: completionsFor(schema, before, state.doc.toString()), validFor: /^\w*$/ };
    };
  }

  // --- Building an editor or a view --------------------------------------------------------------------------------

  const editors = new Map();
  const views = new Map();

  const make = (tag, className) => Object.assign(document.createElement(tag), { className });

  function labelText(textarea) {
    const own = textarea.getAttribute("aria-label");
    return own || textarea.labels[0]?.textContent.replace("*", "").trim() || "SQL";
  }

  function attributesFrom(textarea, described = []) {
    const given = { "aria-label": labelText(textarea), tabindex: "0" };
    const ids = [textarea.getAttribute("aria-describedby"), ...described].filter(Boolean).join(" ");
    if (ids) given["aria-describedby"] = ids;
    if (textarea.required) given["aria-required"] = "true";
    if (textarea.classList.contains("is-invalid")) given["aria-invalid"] = "true";
    return EditorView.contentAttributes.of({ autocapitalize: "off", ...given });
  }

  function makeBox(className) {
    const box = make("div", className);
    // What happens in here, in the search panel say, is not the form's; the textarea speaks for it.
    ["input", "change"].forEach((name) => box.addEventListener(name, (event) => event.stopPropagation()));
    return box;
  }

  function place(textarea, view, box) {
    box.prepend(view.dom);
    textarea.after(box);
    textarea.hidden = true;
    textarea.labels.forEach((label) => label.addEventListener("click", () => view.focus()));
  }

  // Typing over coloured text, Chromium keeps the colour in a style attribute, which the policy refuses and reports.
  const typeOver = EditorView.domEventHandlers({
    beforeinput(event, view) {
      const { state } = view;
      const { from, to, empty } = state.selection.main;
      if (event.inputType !== "insertText" || !event.data || !event.cancelable || empty || view.composing) return false;
      const insert = () =>
        state.update(state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
      const isTaken = state.facet(EditorView.inputHandler).some((take) => take(view, from, to, event.data, insert));
      if (!isTaken) view.dispatch(insert());
      return true;
    },
  });
  const typeNothing = EditorView.domEventHandlers({ beforeinput: () => true });

  function buildEditor(textarea) {
    const box = makeBox("sql-editor");
    const foot = make("div", "sql-editor-foot");
    const position = make("span", "sql-editor-position");
    const hint = Object.assign(make("span", "sql-editor-hint"), { id: `sql-editor-hint-${++numbered}`, textContent: HINT });
    let isPulling = false;
    let isTelling = false;
    box.classList.toggle("is-invalid", textarea.classList.contains("is-invalid"));
    foot.append(position, hint);
    box.append(foot);

    const showPosition = ({ doc, selection }) => {
      const line = doc.lineAt(selection.main.head);
      const column = [...doc.sliceString(line.from, selection.main.head)].length + 1;
      position.textContent = `Line ${line.number}, column ${column}`;
    };
    const tell = (update) => {
      if (update.docChanged || update.selectionSet) showPosition(update.state);
      if (!update.docChanged || isPulling) return;
      NATIVE_VALUE.set.call(textarea, update.state.doc.toString());
      isTelling = true;
      textarea.dispatchEvent(new Event("input", { bubbles: true }));
      isTelling = false;
    };
    const view = new EditorView({
      doc: textarea.value,
      extensions: [
        attributesFrom(textarea, [hint.id]), common, typeOver, history(), closeBrackets(), highlightActiveLine(),
        highlightActiveLineGutter(), lintGutter(), indentUnit.of("  "), EditorView.updateListener.of(tell),
        autocompletion({ override: [completionSource(textarea.dataset.completions)], icons: true }),
        keymap.of([
          { key: "Tab", run: acceptCompletion }, ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap,
          ...historyKeymap, ...completionKeymap, ...lintKeymap, indentWithTab,
        ]),
      ],
    });
    const pull = () => {
      if (isTelling) return;
      isPulling = true;
      setText(view, NATIVE_VALUE.get.call(textarea));
      isPulling = false;
    };
    // A script that sets the value changes the editor.
    Object.defineProperty(textarea, "value", {
      configurable: true,
      get: () => NATIVE_VALUE.get.call(textarea),
      set(text) {
        NATIVE_VALUE.set.call(textarea, text);
        pull();
      },
    });
    textarea.addEventListener("input", pull);
    textarea.form?.addEventListener("reset", () => setTimeout(pull));
    place(textarea, view, box);
    textarea.required = false; // the browser cannot point at a hidden field; the server checks
    showPosition(view.state);
    editors.set(textarea, { view, box, pull });
  }

  function buildView(textarea) {
    const box = makeBox("sql-editor sql-editor-view");
    const view = new EditorView({
      doc: textarea.value,
      extensions: [
        attributesFrom(textarea), common, EditorState.readOnly.of(true), typeNothing, EditorView.lineWrapping,
        keymap.of([...defaultKeymap, ...searchKeymap, ...lintKeymap]),
      ],
    });
    place(textarea, view, box);
    views.set(textarea, { view, box, top: 0 });
    showMarks(textarea);
  }

  /** Let a view that lost its textarea in a swap go on for the new one: no flicker, and it stays scrolled. */
  function adopt(textarea, orphan) {
    const { view, box, top } = views.get(orphan);
    views.delete(orphan);
    place(textarea, view, box);
    setText(view, textarea.value);
    view.scrollDOM.scrollTop = top;
    views.set(textarea, { view, box, top });
    showMarks(textarea);
  }

  // --- Underlines, links and fixes ---------------------------------------------------------------------------------

  const listed = { list: null, text: "" };

  /** At least one character, so that there is something to underline. */
  function stretch(text, from, to) {
    if (to > from) return { from, to };
    const word = /^[\p{L}\p{N}_]+/u.exec(text.slice(from, from + 200))?.[0].length || 1;
    return from < text.length ? { from, to: Math.min(from + word, text.length) } : { from: Math.max(0, from - 1), to: from };
  }

  function showMarks(textarea) {
    const { view } = views.get(textarea);
    const text = view.state.doc.toString();
    const places = new Places(text);
    const found = (textarea.dataset.mark || "").split("\n").map((line) => /^(\d+:\d+):(.*)$/.exec(line.trim()));
    view.dispatch(setDiagnostics(view.state, found.filter(Boolean).map(([, at, message]) => ({
      ...stretch(text, places.offset(at), 0), severity: "error", message,
    }))));
  }

  /** Draw what the list of findings says about the text it was made for, as far as that text is still there. */
  function showFindings(view) {
    const places = new Places(listed.text);
    const text = view.state.doc.toString();
    const change = difference(listed.text, text);
    const found = [...(listed.list?.children || [])].map(({ dataset }) => {
      const from = carry(places.offset(dataset.from), change);
      const to = carry(places.offset(dataset.to || dataset.from), change);
      if (from === null || to === null) return null;
      return { ...stretch(text, from, to), severity: dataset.level, message: dataset.message };
    });
    view.dispatch(setDiagnostics(view.state, found.filter(Boolean)));
  }

  /** Take over a new list; `request` is the one whose answer brought it, and knows the text it is about. */
  function readFindings(request) {
    const list = document.querySelector("[data-findings]");
    const [textarea, shown] = [...editors, ...views][0] || [];
    if (!shown || list === listed.list) return;
    listed.list = list;
    listed.text = (request?.formData?.get(textarea.name) ?? textarea.value).replace(/\r\n?/g, "\n");
    showFindings(shown.view);
  }

  function goTo(event) {
    const link = event.target.closest?.("[data-goto]");
    const view = link && [...editors.values(), ...views.values()][0]?.view;
    if (!view) return;
    event.preventDefault();
    const text = view.state.doc.toString();
    const isListed = listed.list?.contains(link);
    const offset = new Places(isListed ? listed.text : text).offset(link.dataset.goto);
    const anchor = isListed ? carry(offset, difference(listed.text, text)) ?? Math.min(offset, text.length) : offset;
    view.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: "center" }) });
    view.focus();
    view.dom.scrollIntoView({ block: "nearest" });
  }

  function fix(event) {
    const button = event.target.closest?.("[data-fix-start]");
    const view = button && [...editors.values()][0]?.view;
    if (!view) return;
    event.preventDefault();
    const text = view.state.doc.toString();
    const before = listed.list?.contains(button) ? listed.text : text;
    const places = new Places(before);
    const change = difference(before, text);
    const from = carry(places.after(Number(button.dataset.fixStart)), change);
    const to = carry(places.after(Number(button.dataset.fixEnd)), change);
    view.focus();
    if (from === null || to === null) return; // that place has just been rewritten; a new list is on its way
    const insert = button.dataset.fixText;
    view.dispatch({
      changes: { from, to, insert }, selection: { anchor: from + insert.length }, scrollIntoView: true,
      userEvent: "input.fix", annotations: isolateHistory.of("full"),
    });
  }

  // --- Coming and going --------------------------------------------------------------------------------------------

  function discard(from) {
    from.forEach(({ view, box }, textarea) => {
      if (textarea.isConnected) return;
      view.destroy();
      box.remove();
      from.delete(textarea);
    });
  }

  function enhance(request) {
    document.querySelectorAll("textarea[data-sql-view]").forEach((textarea) => {
      if (views.has(textarea)) return;
      const orphan = [...views.keys()].find((old) => !old.isConnected && labelText(old) === labelText(textarea));
      if (orphan) adopt(textarea, orphan);
      else buildView(textarea);
    });
    document.querySelectorAll("textarea[data-sql-editor]").forEach((textarea) => editors.has(textarea) || buildEditor(textarea));
    discard(views);
    discard(editors);
    readFindings(request);
  }

  document.addEventListener("click", goTo);
  document.addEventListener("click", fix);
  // A view loses its scroll position when it leaves the page.
  document.addEventListener("htmx:beforeSwap", () => views.forEach((entry) => (entry.top = entry.view.scrollDOM.scrollTop)));
  ["htmx:afterSwap", "htmx:oobAfterSwap", "htmx:load"].forEach((name) =>
    document.addEventListener(name, (event) => enhance(event.detail?.requestConfig)));
  // The browser puts typed text back into the textarea when going back.
  window.addEventListener("pageshow", () => editors.forEach(({ pull }) => pull()));
  enhance();
})();
