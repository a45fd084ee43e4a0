"""What a report does in a browser."""

import json

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

LONG = "W" * 4000
HOSTILE_NAMES = (
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=2>",
    "</script><script>window.pwned=3</script>",
    "<svg onload=window.pwned=4><style>body{display:none}</style></svg>",
    "</style><style>*{background:url(http://localhost:9/x)}",
    "{{ 7 * 7 }}{% raw %}",
    '" onmouseover="window.pwned=5" x="',
    "\u202egnp.exe\u202e",
    LONG,
)
HOSTILE_REPLIES = [
    *("javascript:window.pwned=6", "<a href='javascript:window.pwned=7'>x</a>", "]]><!-- ", "<iframe srcdoc='x'>"),
    *(
        "</title></head><base href='http://localhost:9/'>",
        "<meta http-equiv=refresh content='0;url=http://localhost:9'>",
    ),
    *("<form action=http://localhost:9><button>", "\u2067\u202e" * 50, LONG),
]


class Reader:
    """A browser with a report in it."""

    def __init__(self, browser):
        self.browser = browser

    def open(self, run, width=1280):
        run.report()
        device = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
        for log in ("browser", "performance"):
            self.browser.get_log(log)
        self.browser.get(run.folder.report.resolve().as_uri())
        return self

    def all(self, css):
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def one(self, css):
        return self.browser.find_element(By.CSS_SELECTOR, css)

    def run(self, script, *args):
        return self.browser.execute_script(script, *args)

    def click(self, element):
        """By script: where photos above are still being laid out, a pointer hits what has moved to its place."""
        self.run("arguments[0].click()", element)

    def column(self, table, number):
        return self.run(
            "return Array.from(arguments[0].tBodies[0].rows, row => row.cells[arguments[1]].textContent)", table, number
        )

    def requests(self):
        messages = (json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance"))
        sent = (m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent")
        return [url for url in sent if not url.startswith("data:")]


@pytest.fixture
def reader(browser):
    return Reader(browser)


def test_tables_are_sorted_by_numbers_and_by_words(make_run, reader):
    run = make_run(names=("b", "a10", "a9"))
    reader.open(run)
    table = reader.one("#classes table")
    buttons = table.find_elements(By.CSS_SELECTOR, "th button")
    headings = [button.text for button in buttons]
    reader.click(buttons[0])
    assert reader.column(table, 0) == ["a9", "a10", "b"]
    assert buttons[0].find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    reader.click(buttons[0])
    assert reader.column(table, 0) == ["b", "a10", "a9"]
    score = headings.index("mean score")
    reader.click(buttons[score])
    assert reader.column(table, score) == ["16%", "10%", "4%"]
    assert [b.find_element(By.XPATH, "..").get_attribute("aria-sort") for b in buttons].count("descending") == 1
    reader.click(buttons[score])
    assert reader.column(table, score) == ["4%", "10%", "16%"]


@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_text_runs_nothing_and_fits_the_page(make_run, reader, width):
    reader.open(make_run(names=HOSTILE_NAMES, replies=HOSTILE_REPLIES), width)
    reader.run(
        "for (const d of document.querySelectorAll('details')) d.open = true;"
        "for (const c of document.querySelectorAll('.card, .versus')) c.style.contentVisibility = 'visible'"
    )
    assert reader.run("return window.pwned") is None
    assert reader.run("return document.documentElement.scrollWidth") <= width
    assert reader.run("return getComputedStyle(document.body).display") == "block"
    assert reader.browser.get_log("browser") == []
    assert reader.requests() == [reader.browser.current_url]
    shown = reader.run("return document.querySelector('#space').textContent")
    for name in HOSTILE_NAMES[:-1]:
        assert name in shown
    assert len(reader.all("script")) == 2
    assert not reader.all("iframe, form, base, a[href^=javascript], [onerror], [onload], [onmouseover]")


def test_an_injected_script_would_not_run_either(run, reader):
    reader.open(run)
    reader.run(
        "const s = document.createElement('script'); s.textContent = 'window.pwned = 1'; document.body.append(s);"
        "const i = document.createElement('div'); i.innerHTML = '<img src=x onerror=window.pwned=2>';"
        "document.body.append(i)"
    )
    assert reader.run("return window.pwned") is None
    assert "Content Security Policy" in str(reader.browser.get_log("browser"))


def test_photos_come_when_they_are_scrolled_to(make_run, reader):
    reader.open(make_run(images=12))
    last = reader.all("#photos img")[-1]
    assert not last.get_attribute("src")
    reader.run("arguments[0].scrollIntoView()", last)
    WebDriverWait(reader.browser, 60).until(lambda _: reader.run("return arguments[0].naturalWidth", last) > 0)
    assert last.get_attribute("src").startswith("data:image/jpeg;base64,")


def test_cards_are_filtered_and_shown_in_parts(make_run, reader):
    reader.open(make_run(images=24))
    shown = "return Array.from(document.querySelectorAll('.gallery .card')).filter(card => !card.hidden).length"
    assert reader.run(shown) == 60
    reader.click(reader.one(".gallery .more"))
    assert reader.run(shown) == 72
    assert not reader.one(".gallery .more").is_displayed()
    reader.one(".gallery input").send_keys("SUPPORT/1_3.jpg")
    assert reader.run(shown) == 1
    reader.one(".gallery input").clear()
    Select(reader.one(".gallery select")).select_by_value("unusable")
    assert reader.run(shown) == 1
    assert reader.one(".gallery output").text == "1 of 72 photos"
    Select(reader.one(".gallery select")).select_by_value("wrong")
    assert reader.run(shown) == 3


def test_without_javascript_the_texts_are_there(run, reader):
    reader.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        reader.open(run)
        assert "The bird is a House Finch." in "".join(
            e.get_attribute("textContent") for e in reader.all("#candidates details")
        )
        assert not reader.all("#candidates .card[hidden]")
        assert not any(image.get_attribute("src") for image in reader.all("img"))
    finally:
        reader.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
