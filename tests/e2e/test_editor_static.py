"""The SQL editor, parameter inputs and charts in a real browser, on a small page with the product's policy."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from csp.utils import build_policy
from django.contrib.staticfiles import finders
from playwright.sync_api import Browser, Dialog, Page, Request, expect

from tests.e2e.conftest import PATIENCE
from tests.e2e.looking import SHOTS, check_accessible, held, set_theme, set_width, settle

MOD = "Control"

SOURCE = """\
-- {{not_here}} and :not_here
WITH reach AS (
  SELECT campaign, COUNT(DISTINCT user_id) AS users, SUM(impressions) AS shown
  FROM dsp_impressions i
  WHERE i.advertiser = '{{brand}}' AND campaign_id IN ({{campaign_ids}})
    AND impression_dt >= :start_date AND cost > 1.5 /* $not_here */
  GROUP BY campaign
)
SELECT '\U0001f600', campaign, users FROM reach r ORDER BY users
"""
SCHEMA = {
    "keywords": ["SELECT", "FROM", "WHERE"],
    "functions": [{"name": "COUNT", "group": "aggregate"}, {"name": "DATE_TRUNC", "group": "date"}],
    "tables": {
        "dsp_impressions": [
            ["campaign", "STRING", "LOW", "Name of the campaign."],
            ["impression_dt", "TIMESTAMP", "MEDIUM"],
        ],
        "dsp_clicks": [["click_dt", "TIMESTAMP", "MEDIUM"]],
    },
}
DAYS = [f"2026-01-{day:02}" for day in range(1, 29)]
SHOWN = [1000 + 37 * day % 400 for day in range(28)]
REACHED = [None if day == 9 else str(600 + 53 * day % 300) for day in range(28)]
SAVED = """<!DOCTYPE html><html lang="en"><link rel="icon" href="/static/img/logo.svg"><title>Saved</title>
<h1>Saved</h1></html>"""
CHART = {
    "kind": "line",
    "labels": DAYS,
    "series": [{"name": "Impressions", "values": SHOWN}, {"name": "Reach", "values": REACHED}],
    "x_title": "Day",
    "y_title": "Number",
}


def parameters(values: dict[str, str]) -> str:
    """Return the panel as the server would: one wrapper per placeholder of the SQL it was sent."""
    names = dict.fromkeys(re.findall(r"{{(\w+)}}|:(\w+)", re.sub("--.*", "", values.get("source_sql", SOURCE))))
    fields = "".join(
        f"""<div class="parameter" data-parameter="{name}"><div class="parameter-head">
        <label class="form-label" for="value-{name}">{name}</label>
        {'<span class="tag" data-auto-mark>from mappings</span>' if values.get(f"auto:{name}", "1") == "1" else ""}
        </div>
        <input type="hidden" name="auto:{name}" value="{values.get(f"auto:{name}", "1")}">
        <input type="hidden" name="touched:{name}" value="{values.get(f"touched:{name}", "0")}">
        <input class="form-control" id="value-{name}" name="value:{name}" value="{values.get(f"value:{name}", "")}">
        </div>"""
        for pair in names
        for name in [pair[0] or pair[1]]
    )
    return f"""<section id="template-parameters" class="card" aria-labelledby="ph"><div class="card-header">
    <h2 class="card-title" id="ph">Parameters</h2><span class="text-secondary ms-auto">{len(names)}</span></div>
    <div class="card-body"><fieldset class="parameter-group"><legend class="parameter-legend">All</legend>{fields}
    </fieldset></div></section>"""


def lint(sql: str) -> str:
    """Return one finding with a fix: the face, behind which columns and offsets differ between Python and UTF-16."""
    start = sql.find("ORDER BY users")
    if start < 0:
        return '<div id="template-lint" class="lint"></div>'
    line = sql.count("\n", 0, start) + 1
    column = start - sql.rfind("\n", 0, start)
    return f"""<div id="template-lint" class="lint"><h2 class="lint-heading">1 remark</h2>
    <ul class="lint-list" data-findings><li class="lint-warning" data-from="{line}:{column}"
      data-to="{line}:{column + 14}" data-level="warning" data-message="ORDER BY needs LIMIT">
      <span class="lint-level">Warning</span><a href="#id_source_sql" data-goto="{line}:{column}">Line {line}</a>
      <span>ORDER BY needs LIMIT</span><button class="btn btn-sm" name="action" value="fix:0"
      data-fix-start="{start}" data-fix-end="{start + 14}" data-fix-text="LIMIT 10">Use LIMIT</button></li></ul>
    </div>"""


def preview(sql: str) -> str:
    return f"""<div id="template-preview"><textarea class="form-control sql-view" readonly data-sql-view
    data-mark="2:1:Nothing fills this yet&#10;" aria-label="Finished SQL">{sql}</textarea></div>"""


def whole_page() -> str:
    rows = "".join(
        f'<tr><td>{day}</td><td class="is-number">{shown}</td><td class="is-number">{reached or ""}</td></tr>'
        for day, shown, reached in zip(DAYS, SHOWN, REACHED, strict=True)
    )
    return f"""<!DOCTYPE html><html lang="en"><head><title>Editor</title><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="htmx-config"
  content='{{"includeIndicatorStyles": false, "allowEval": false, "attributesToSettle": ["class"]}}'>
<script src="/static/js/theme.js"></script><link rel="stylesheet" href="/static/vendor/tabler.min.css">
<link rel="icon" href="/static/img/logo.svg">
<link rel="stylesheet" href="/static/css/app.css"><link rel="stylesheet" href="/static/css/components.css">
<link rel="stylesheet" href="/static/css/templates.css">
<script src="/static/django_htmx/htmx-2.min.js" defer></script></head>
<body class="app app-signed-out" data-icons="/static/vendor/icons.svg"><main class="page-main"><h1>Template</h1>
<form id="template-form" class="template-columns" method="post" action="/save" novalidate><div class="template-main">
<section class="card"><div class="card-body"><label class="form-label" for="id_name">Name</label>
<input class="form-control" id="id_name" name="name" value="Reach">
<label class="form-label" for="id_source_sql">SQL<span class="asteriskField">*</span></label>
<textarea name="source_sql" id="id_source_sql" required class="form-control sql-source" data-sql-editor
  data-completions="/schema" aria-describedby="help">{SOURCE}</textarea><div id="help" class="form-text">AMC SQL.</div>
<div hx-post="/lint" hx-trigger="input delay:300ms from:#id_source_sql" hx-target="#template-lint" hx-swap="outerHTML"
  hx-include="#template-form" hx-sync="this:replace">{lint(SOURCE)}</div></div></section>
<section class="card"><div class="card-body" hx-post="/preview" hx-trigger="input delay:100ms from:#template-form"
  hx-target="#template-preview" hx-swap="outerHTML" hx-include="#template-form">{preview(SOURCE)}</div></section></div>
<div class="template-side"><div hx-post="/parameters" hx-trigger="input delay:100ms from:#id_source_sql"
  hx-target="#template-parameters" hx-swap="outerHTML" hx-include="#template-form" hx-sync="this:replace">
  {parameters({"value:brand": "Acme"})}</div>
<div class="form-actions template-form-actions">
<button class="btn btn-primary" name="action" value="save" data-save>Save</button></div></div></form>
<section class="card"><div class="card-body">
<div class="chart-box"><canvas data-chart data-source="#chart-data"></canvas></div>
<script type="application/json" id="chart-data">{json.dumps(CHART)}</script></div>
<div class="result-scroll" tabindex="0" role="group" aria-label="Result, scrollable"><table class="result-table">
<thead><tr><th scope="col">Day</th><th scope="col" class="is-number">Impressions</th>
<th scope="col" class="is-number">Reach</th></tr></thead><tbody>{rows}</tbody></table></div></section></main>
<script src="/static/vendor/codemirror.min.js" defer></script><script src="/static/js/sql-editor.js" defer></script>
<script src="/static/js/template-form.js" defer></script><script src="/static/vendor/chart.min.js" defer></script>
<script src="/static/js/chart.js" defer></script></body></html>"""


class Handler(BaseHTTPRequestHandler):
    """Serves the page, its fragments and static files."""

    # A test that clears it decides when fragments are answered.
    may_answer = threading.Event()
    saved: list[dict[str, str]] = []

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def answer(self, body: bytes | str, kind: str = "text/html; charset=utf-8", status: int = 200) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", build_policy())
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        if self.path == "/":
            return self.answer(whole_page())
        if self.path == "/schema":
            return self.answer(json.dumps(SCHEMA), "application/json")
        found = finders.find(self.path.removeprefix("/static/"))
        if not found:
            return self.answer("", status=404)
        kinds = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
        return self.answer(Path(found).read_bytes(), kinds.get(Path(found).suffix, "application/octet-stream"))

    def do_POST(self) -> None:
        posted = self.rfile.read(int(self.headers["Content-Length"])).decode()
        values = {
            name: texts[-1].replace("\r\n", "\n")
            for name, texts in parse_qs(posted, keep_blank_values=True).items()
        }
        if self.path == "/save":
            self.saved.append(values)
            return self.answer(SAVED)
        self.may_answer.wait()
        if self.path == "/parameters":
            return self.answer(parameters(values))
        return self.answer(lint(values["source_sql"]) if self.path == "/lint" else preview(values["source_sql"]))


@pytest.fixture
def server() -> Iterator[str]:
    Handler.may_answer.set()
    Handler.saved = []
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    Handler.may_answer.set()
    running.shutdown()
    running.server_close()


@pytest.fixture
def page(browser: Browser, server: str) -> Iterator[Page]:
    """Open the page; script errors and policy violations fail the test."""
    context = browser.new_context(
        viewport={"width": 1500, "height": 900}, base_url=server, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on(
        "console",
        lambda message: (
            problems.append(message.text)
            # A request that a newer one replaces is reported as an error.
            if message.type in ("error", "warning") and not message.text.startswith("htmx:")
            else None
        ),
    )
    opened.goto("/")
    yield opened
    context.close()
    assert not problems, problems


def editor(page: Page) -> str:
    """Return what the form would send."""
    return str(page.evaluate("new FormData(document.forms[0]).get('source_sql')"))


def asks_for_fresh(request: Request) -> bool:
    """Return whether a request asks for the parameters of the SQL with {{fresh}} in it."""
    return request.url.endswith("/parameters") and "fresh%7D%7D" in (request.post_data or "")


def put_cursor(page: Page, text: str) -> None:
    """Click behind a text of the editor, which must be the end of its line."""
    page.locator(".sql-editor:not(.sql-editor-view) .cm-line", has_text=text).first.click()
    page.keyboard.press("End")


class TestEditor:
    def test_runs_under_the_policy_with_its_rules_in_constructed_style_sheets(self, page: Page) -> None:
        content = page.get_by_role("textbox", name="SQL", exact=True)
        expect(content).to_be_visible()
        assert page.evaluate("document.querySelectorAll('style').length") == 0
        assert page.evaluate("document.adoptedStyleSheets.length") > 0
        assert page.locator(".cm-gutters").first.evaluate("e => getComputedStyle(e).display") == "flex"
        expect(page.locator("#id_source_sql")).to_be_hidden()
        assert content.get_attribute("aria-describedby").startswith("help ")  # type: ignore[union-attr]

    def test_marks_placeholders_outside_comments_only(self, page: Page) -> None:
        marks = page.locator(".sql-editor:not(.sql-editor-view) .cm-sql-parameter").all_inner_texts()
        assert marks == ["{{brand}}", "{{campaign_ids}}", ":start_date"]
        functions = page.locator(".sql-editor:not(.sql-editor-view) .cm-sql-function").all_inner_texts()
        assert functions == ["COUNT", "SUM"]

    def test_keeps_the_textarea_in_step_and_announces_each_change(self, page: Page) -> None:
        page.evaluate("window.seen = 0; document.forms[0].addEventListener('input', () => seen++)")
        put_cursor(page, "ORDER BY")
        page.keyboard.type(" x")
        assert editor(page) == SOURCE.replace("ORDER BY users", "ORDER BY users x")
        assert page.evaluate("seen") == 2
        page.evaluate("document.getElementById('id_source_sql').value = 'SELECT 1'")
        expect(page.locator(".cm-content").first).to_have_text("SELECT 1")
        assert page.evaluate("seen") == 2

    @pytest.mark.parametrize(
        ("typed", "result"),
        [("SELECT 1", "SELECT 1"), ("(", f"({SOURCE})"), ("\u00e9", "\u00e9")],
    )
    def test_typing_replaces_coloured_text_without_a_violation(self, page: Page, typed: str, result: str) -> None:
        put_cursor(page, "ORDER BY")
        page.keyboard.press(f"{MOD}+a")
        page.keyboard.type(typed)
        assert editor(page) == result
        page.keyboard.press(f"{MOD}+z")
        assert editor(page) == SOURCE
        page.get_by_role("textbox", name="Finished SQL").click()
        page.keyboard.press(f"{MOD}+a")
        page.keyboard.type("nothing")

    def test_tab_indents_and_escape_lets_it_leave(self, page: Page) -> None:
        put_cursor(page, "ORDER BY")
        page.keyboard.press("Home")
        page.keyboard.press("Tab")
        assert "\n  SELECT '\U0001f600'" in editor(page)
        page.keyboard.press("Escape")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('.sql-editor:not(.sql-editor-view)')") is None
        assert "\n  SELECT '\U0001f600'" in editor(page)

    @pytest.mark.parametrize(
        ("typed", "offered", "kept_out"),
        [
            (" JOIN ", ["dsp_impressions", "dsp_clicks", "reach"], "campaign"),
            (" AND i.", ["campaign", "impression_dt"], "click_dt"),
            (" AND DATE", ["DATE_TRUNC"], "dsp_clicks"),
            (" AND imp", ["impression_dt"], "dsp_clicks"),
        ],
    )
    def test_completes_by_place(self, page: Page, typed: str, offered: list[str], kept_out: str) -> None:
        put_cursor(page, "ORDER BY")
        page.keyboard.type(typed)
        listbox = page.get_by_role("listbox")
        for label in offered:
            expect(listbox.get_by_text(label, exact=True)).to_be_visible()
        expect(listbox.get_by_text(kept_out, exact=True)).to_have_count(0)

    def test_a_completed_column_says_what_it_holds(self, page: Page) -> None:
        put_cursor(page, "ORDER BY")
        page.keyboard.type(" AND i.camp")
        info = page.locator(".cm-completionInfo")
        expect(info).to_have_text("Name of the campaign. Aggregation threshold: low")

    def test_completes_nothing_in_comments_and_placeholders(self, page: Page) -> None:
        page.clock.install()
        page.reload()
        put_cursor(page, "ORDER BY")
        page.keyboard.type(" {{imp")
        page.keyboard.press("ArrowRight")
        page.keyboard.type(" -- imp")
        page.clock.run_for(5000)
        expect(page.get_by_role("listbox")).to_have_count(0)
        # Where something is completed, it has come by then.
        page.keyboard.press("Enter")
        page.keyboard.type("imp")
        page.clock.run_for(5000)
        expect(page.get_by_role("listbox")).to_have_count(1)


class TestFindings:
    def test_underlines_survive_typing_and_follow_the_next_list(self, page: Page) -> None:
        under = page.locator(".sql-editor:not(.sql-editor-view) .cm-lintRange-warning")
        expect(under).to_have_text("ORDER BY users")
        put_cursor(page, "GROUP BY campaign")
        with page.expect_response("**/lint"):
            page.keyboard.type(" ")
        settle(page)
        expect(under).to_have_text("ORDER BY users")

    def test_a_link_moves_the_cursor_behind_a_character_outside_the_basic_plane(self, page: Page) -> None:
        page.get_by_role("link", name="Line 9").click()
        page.keyboard.type("#")
        assert "reach r #ORDER BY users" in editor(page)

    def test_a_fix_is_one_step_even_when_the_text_has_moved_since(self, page: Page) -> None:
        Handler.may_answer.clear()
        put_cursor(page, "GROUP BY campaign")
        page.keyboard.type(", \U0001f600")
        page.get_by_role("button", name="Use LIMIT").click()
        assert editor(page).endswith(
            "GROUP BY campaign, \U0001f600\n)\nSELECT '\U0001f600', campaign, users FROM reach r LIMIT 10\n"
        )
        page.keyboard.type("0")
        page.keyboard.press(f"{MOD}+z")
        page.keyboard.press(f"{MOD}+z")
        assert "campaign, \U0001f600\n" in editor(page)
        assert "ORDER BY users" in editor(page)
        assert not Handler.saved


class TestView:
    def test_swaps_keep_one_view_with_its_scroll_position(self, page: Page) -> None:
        view = page.locator(".sql-editor-view")
        expect(view.locator(".cm-lintRange-error")).to_have_text("WITH")
        view.evaluate("e => (e.style.height = '150px')")
        view.locator(".cm-scroller").evaluate("e => (e.scrollTop = 60)")
        view.locator(".cm-content").evaluate("e => (e.isTheSame = true)")
        for _ in range(3):
            put_cursor(page, "GROUP BY campaign")
            with page.expect_response("**/preview"):
                page.keyboard.type("x")
            settle(page)
        expect(view).to_have_count(1)
        expect(view.locator(".cm-content")).to_contain_text("campaignxxx")
        assert view.locator(".cm-scroller").evaluate("e => e.scrollTop") == 60
        assert view.locator(".cm-content").evaluate("e => e.isTheSame")
        assert page.locator(".cm-editor").count() == 2

    def test_is_read_only_but_can_be_reached_and_left(self, page: Page) -> None:
        content = page.get_by_role("textbox", name="Finished SQL")
        content.click()
        page.keyboard.type("nothing")
        expect(content).to_have_attribute("aria-readonly", "true")
        expect(content).not_to_contain_text("nothing")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('.sql-editor')") is None


class TestParameters:
    def test_typing_makes_a_value_the_users_own(self, page: Page) -> None:
        wrapper = page.locator("[data-parameter=brand]")
        expect(wrapper.locator("[data-auto-mark]")).to_have_count(1)
        page.get_by_label("brand").press("End")
        page.keyboard.type("!")
        expect(wrapper.locator("[data-auto-mark]")).to_have_count(0)
        expect(page.locator("[name='auto:brand']")).to_have_value("0")
        expect(page.locator("[name='touched:brand']")).to_have_value("1")
        expect(page.locator("[name='auto:start_date']")).to_have_value("1")

    def test_a_swap_takes_neither_focus_nor_text(self, page: Page) -> None:
        Handler.may_answer.clear()
        put_cursor(page, "GROUP BY campaign")
        page.keyboard.type(" -- ")
        page.keyboard.press("Enter")
        # The request is on its way, with the old values.
        with page.expect_request(asks_for_fresh):
            page.keyboard.type("{{fresh}}")
        page.get_by_label("campaign_ids").fill("77")
        brand = page.get_by_label("brand")
        brand.evaluate("e => (e.isTheSame = true)")
        brand.press("Home")
        page.keyboard.type("The ")
        Handler.may_answer.set()
        expect(page.get_by_label("fresh")).to_be_visible()
        page.keyboard.type("big ")
        expect(brand).to_have_value("The big Acme")
        expect(brand).to_be_focused()
        assert brand.evaluate("e => e.isTheSame")
        expect(page.get_by_label("campaign_ids")).to_have_value("77")
        expect(page.locator("[name='touched:campaign_ids']")).to_have_value("1")
        names = page.locator("#template-parameters [name^='value:']").evaluate_all("all => all.map(e => e.name)")
        assert names == ["value:brand", "value:campaign_ids", "value:start_date", "value:fresh"]


class TestSaving:
    def test_the_shortcut_saves_and_enter_does_not_press_a_fix(self, page: Page) -> None:
        page.get_by_label("Name").press("Enter")
        page.get_by_role("heading", name="Saved").wait_for()
        page.goto("/")
        put_cursor(page, "ORDER BY")
        page.keyboard.press(f"{MOD}+s")
        page.get_by_role("heading", name="Saved").wait_for()
        assert [values["action"] for values in Handler.saved] == ["save", "save"]
        assert Handler.saved[1]["source_sql"] == SOURCE

    def test_leaving_asks_only_when_something_is_unsaved(self, page: Page) -> None:
        asked: list[str] = []

        def answer(dialog: Dialog) -> None:
            asked.append(dialog.type)
            dialog.accept()

        page.on("dialog", answer)
        page.get_by_label("Name").click()
        page.reload()
        assert asked == []
        put_cursor(page, "ORDER BY")
        page.keyboard.type("x")
        page.reload()
        assert asked == ["beforeunload"]
        put_cursor(page, "ORDER BY")
        page.keyboard.type("x")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("heading", name="Saved").wait_for()
        assert asked == ["beforeunload"]


class TestChart:
    def test_is_drawn_in_the_colours_of_each_theme(self, page: Page) -> None:
        canvas = page.locator("canvas[data-chart]")
        expect(canvas).to_have_attribute("role", "img")
        for theme, colour in (("light", "rgb(5, 97, 191)"), ("dark", "rgb(106, 169, 244)")):
            set_theme(page, theme)
            page.wait_for_function(
                "colour => Charts.Chart.getChart(document.querySelector('canvas')).data.datasets[0].borderColor"
                " === colour",
                arg=colour,
            )
        settle(page)
        assert canvas.evaluate("e => e.getContext('2d').getImageData(0, 0, e.width, e.height).data.some(Boolean)")


class TestLook:
    def test_no_violation_in_both_themes_wide_and_narrow(self, page: Page) -> None:
        put_cursor(page, "ORDER BY")
        for theme in ("light", "dark"):
            set_theme(page, theme)
            for width in (1500, 390):
                set_width(page, width)
                self.check(page, f"{theme}-{width}")
            set_width(page, 1500)
            put_cursor(page, "GROUP BY campaign")
            page.keyboard.press(f"{MOD}+f")
            page.keyboard.type("campaign")
            expect(page.locator(".cm-searchMatch").first).to_be_visible()
            self.check(page, f"{theme}-search")
            page.keyboard.press("Escape")
            put_cursor(page, "ORDER BY")
            page.keyboard.type(" i.")
            expect(page.get_by_role("listbox")).to_be_visible()
            self.check(page, f"{theme}-completion")
            page.keyboard.press("Escape")
            page.keyboard.press("Backspace")
            page.keyboard.press("Backspace")
            page.keyboard.press("Backspace")

    def check(self, page: Page, name: str) -> None:
        with held(page):
            if SHOTS:
                page.screenshot(path=f"{SHOTS}/editor-{name}.png", full_page=True)
            check_accessible(page)
            fits = page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
            assert fits, name
