import math
import sys
from pathlib import Path

import pytest
from PIL import Image

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest
from fgvr.labelers.gemini.labeler import GeminiLabeler
from fgvr.labelers.hosts.image_tokens import gemini_image_tokens, openai_image_tokens
from fgvr.labelers.hosts.prices import Price, PriceList, Tokens
from fgvr.labelers.openai.labeler import OpenAILabeler
from fgvr.labelers.remote import Question
from fgvr.labelers.tasks.name import NameTask
from fgvr.labelers.tasks.pictures import Picture, PictureOptions
from fgvr.records import ImageRecord

TOKENS = Tokens(1000, 100)


@pytest.mark.parametrize("values", [(-1, 1), (1, math.nan), (math.inf, 1)])
def test_prices_are_checked(values):
    with pytest.raises(FgvrError, match="US dollars for a million tokens"):
        Price(*values)


def test_what_the_user_says_goes_first():
    prices = PriceList("openai", price=Price(2.0, 8.0))
    assert prices.usd("no such model", TOKENS) == pytest.approx(0.0028)
    assert prices.usd("gpt-4o", TOKENS, batch=True) == pytest.approx(0.0014)


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        ("openai", "gpt-4o-2024-11-20", 1000 * 2.5e-6 + 100 * 10e-6),
        ("openai", "gpt-4o-mini", 1000 * 0.15e-6 + 100 * 0.6e-6),
        ("google", "gemini-3.8-flash", 1000 * 0.75e-6 + 100 * 3.75e-6),
        ("google", "models/gemini-3.8-flash", 1000 * 0.75e-6 + 100 * 3.75e-6),
    ],
)
def test_the_built_in_list(provider, model, usd):
    prices = PriceList(provider)
    assert prices.usd(model, TOKENS) == pytest.approx(usd)
    assert prices.usd(model, TOKENS, batch=True) == pytest.approx(usd / 2)


def test_a_batch_is_half_where_the_list_has_no_price_for_it(monkeypatch):
    import genai_prices

    calc_price = genai_prices.calc_price
    monkeypatch.setattr(
        genai_prices, "calc_price", lambda usage, model, price_context=None, **where: calc_price(usage, model, **where)
    )
    prices = PriceList("openai")
    assert prices.usd("gpt-4o", TOKENS, batch=True) == pytest.approx(prices.usd("gpt-4o", TOKENS) / 2)


def test_cached_tokens_are_cheaper():
    prices = PriceList("openai")
    assert prices.usd("gpt-4o", Tokens(1000, 100, cached=800)) < prices.usd("gpt-4o", TOKENS)
    # counts that contradict each other are no reason to lose a reply
    assert prices.usd("gpt-4o", Tokens(1000, 100, cached=2000, cache_written=2000)) is not None


def test_an_unknown_model_has_no_price():
    assert PriceList("openai").usd("gpt-99", TOKENS) is None


@pytest.mark.parametrize(
    ("url", "model", "known"),
    [
        ("http://localhost:11434/v1", "gpt-4o", 0.0),
        ("http://127.0.0.1:8000/v1", "gpt-4o", 0.0),
        ("http://[::1]:8000/v1", "llava", 0.0),
        ("http://192.168.1.7/v1", "llava", 0.0),
        ("http://vllm:8000/v1", "llava", 0.0),
        ("http://gpu.lan/v1", "llava", 0.0),
        ("https://llm.corp.internal/v1", "llava", 0.0),
        ("https://vllm.example.org/v1", "llava", None),
        ("https://8.8.8.8/v1", "llava", None),
        ("https://openrouter.ai/api/v1", "openai/gpt-4o", 0.0035),
        ("https://openrouter.ai/api/v1", "no such model", None),
    ],
)
def test_servers_that_are_not_the_providers(url, model, known):
    usd = PriceList("openai", url).usd(model, TOKENS)
    assert usd == (known if not known else pytest.approx(known))


@pytest.mark.parametrize(
    "url",
    [
        "https://eu.api.openai.com/v1",
        "https://API.OPENAI.COM/v1",
        "https://api.openai.com:443/v1",
        "http://api.openai.com",
    ],
)
def test_openais_own_servers_have_its_prices(url):
    labeler = OpenAILabeler(base_url=url)
    assert labeler.worst_usd(question(labeler)) == OpenAILabeler().worst_usd(question(labeler)) > 0


def test_a_server_of_somebody_else_may_be_paid_for():
    labeler = OpenAILabeler(base_url="https://gateway.example.com/openai/v1")
    assert labeler.worst_usd(question(labeler)) is None
    assert labeler.estimate_usd([question(labeler).request]) is None
    assert OpenAILabeler(base_url=labeler.base_url, price=Price(1, 1)).worst_usd(question(labeler)) > 0


def test_without_the_package_no_price_is_known(monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    assert PriceList("openai").usd("gpt-4o", TOKENS) is None
    assert PriceList("openai", price=Price(1, 1)).usd("gpt-4o", TOKENS) is not None


@pytest.mark.parametrize(
    ("model", "detail", "size", "expected"),
    [
        ("gpt-4o", "high", (1024, 1024), 765),
        ("gpt-4o", "auto", (512, 512), 255),
        ("gpt-4o", "high", (2048, 4096), 1105),
        ("gpt-4o", "low", (4096, 4096), 85),
        ("gpt-4o-mini", "high", (1024, 1024), 2833 + 4 * 5667),
        ("openai/gpt-4o-mini", "high", (1024, 1024), 2833 + 4 * 5667),
        ("ft:gpt-4o-2024-08-06:org::id", "high", (1024, 1024), 765),
        ("gpt-4.1-mini", "auto", (1024, 1024), 1024 * 1.62),
        ("gpt-6.1-sol", "auto", (1024, 1024), 1024 * 1.2),
        ("gpt-5", "auto", (512, 512), 210),
    ],
)
def test_openai_image_tokens(model, detail, size, expected):
    usual, most = openai_image_tokens(model, detail, *size)
    assert usual == pytest.approx(expected)
    assert most >= usual


@pytest.mark.parametrize("size", [(1, 1), (16, 1024), (1024, 16), (1024, 768), (2048, 2048)])
@pytest.mark.parametrize("model", ["gpt-99", "gpt-6-luna", "gpt-5"])
def test_of_models_that_are_not_known_the_dearest_scheme_bounds_the_cost(model, size):
    tiles = openai_image_tokens("gpt-4o", "high", *size)
    if model == "gpt-5":  # known, and cheaper
        assert openai_image_tokens(model, "high", *size)[1] <= tiles[1]
    else:
        most = openai_image_tokens(model, "high", *size)[1]
        assert most >= max(tiles[1], openai_image_tokens("gpt-5-nano", "high", *size)[0])


@pytest.mark.parametrize(
    ("model", "resolution", "size", "expected"),
    [
        ("gemini-3.8-flash", None, (1024, 768), 1120),
        ("gemini-3.8-flash", "low", (1024, 768), 280),
        ("gemini-2.5-flash", None, (384, 384), 258),
        ("gemini-2.5-flash", "low", (1024, 768), 64),
        ("models/gemini-2.5-flash", None, (1024, 768), 4 * 258),
        ("gemini-flash-latest", None, (1024, 768), 1120),
    ],
)
def test_gemini_image_tokens(model, resolution, size, expected):
    usual, most = gemini_image_tokens(model, resolution, *size)
    assert usual == expected
    assert most >= 1120


def question(labeler, width=1024, height=768):
    image = ImageRecord(sample_id="a.jpg", path=Path("no such file"), split="support", digest="d")
    return Question(LabelRequest(image, labeler.prompt), (Picture(b"", width, height),))


@pytest.mark.parametrize("make", [OpenAILabeler, GeminiLabeler])
def test_the_highest_price_is_above_what_requests_cost(make):
    labeler = make()
    asked = question(labeler)
    worst = labeler.worst_usd(asked)
    # a picture, 60 tokens of the prompt, and the longest reply
    sent = round(labeler.image_tokens(1024, 768)[0]) + 60
    assert worst > labeler.prices.usd(labeler.model, Tokens(sent, labeler.max_output_tokens))
    assert labeler.worst_batch_usd(asked) == pytest.approx(worst / 2)
    longer = make(max_output_tokens=10_000)
    assert longer.worst_usd(asked) > worst
    text = make(task=NameTask(structured=False), prompt=labeler.prompt, max_output_tokens=labeler.max_output_tokens)
    assert text.worst_usd(asked) < worst, "it has no schema"


def test_a_model_without_a_price():
    labeler = OpenAILabeler("gpt-99")
    assert labeler.worst_usd(question(labeler)) is None
    assert labeler.estimate_usd([question(labeler).request]) is None


def images(folder, count, size):
    Image.new("RGB", size).save(folder / "a.jpg")
    return [
        ImageRecord(sample_id=f"{n}.jpg", path=folder / "a.jpg", split="support", digest=f"{n:064x}")
        for n in range(count)
    ]


def test_estimates_look_at_the_sizes_of_some_photos(tmp_path, monkeypatch):
    labeler = OpenAILabeler(detail="high")
    requests = [LabelRequest(image, labeler.prompt) for image in images(tmp_path, 1000, (4000, 4000))]
    opened = []
    image_open = Image.open
    monkeypatch.setattr(Image, "open", lambda path: opened.append(path) or image_open(path))
    estimate = labeler.estimate_usd(requests)
    assert len(opened) <= 50
    # about $2 for 1,000 photos of 765 tokens, a little more with the prompt and the reply
    assert 1.9 < estimate < 3.0
    assert labeler.estimate_batch_usd(requests) == pytest.approx(estimate / 2)
    assert OpenAILabeler(detail="low").estimate_usd(requests) < estimate / 2
    assert OpenAILabeler(detail="high", pictures=PictureOptions(max_side=512)).estimate_usd(requests) < estimate
    assert labeler.estimate_usd([]) == 0


def test_estimates_do_without_photos_that_cannot_be_read(tmp_path):
    labeler = GeminiLabeler()
    lost = ImageRecord(sample_id="lost.jpg", path=tmp_path / "lost.jpg", split="support", digest="d")
    assert labeler.estimate_usd([LabelRequest(lost, labeler.prompt)]) > 0


def test_models_that_think_are_expected_to_use_what_they_may(tmp_path):
    requests = [LabelRequest(image, "?") for image in images(tmp_path, 2, (64, 64))]
    thinking, plain = GeminiLabeler(), GeminiLabeler(thinking_budget=0)
    assert thinking.estimate_usd(requests) > plain.estimate_usd(requests)
    assert OpenAILabeler("gpt-6-luna").thinks
    assert not OpenAILabeler("gpt-6-luna", reasoning_effort="none").thinks
    assert not OpenAILabeler().thinks
    assert not OpenAILabeler("llava", base_url="http://localhost:1/v1").thinks
    # or most replies would be empty
    assert thinking.max_output_tokens == plain.max_output_tokens + 1000
    assert GeminiLabeler(max_output_tokens=200).max_output_tokens == 200
