import pytest
import torch
import torch.nn.functional as F

from fgvr.errors import FgvrError
from fgvr.heads.prompt import PromptHead
from fgvr.testing.heads import check_head
from fgvr.testing.tiny import TinyBackbone

NAMES = ["cat", "Great Pyrenees", "oat milk"]


def built(backbone, seed=0, **options):
    torch.manual_seed(seed)
    head = PromptHead(**options)
    head.build(backbone, NAMES)
    return head


def test_tiny_backbone_is_the_same_for_the_same_seed(backbone):
    other = TinyBackbone()
    other.load()
    assert other.fingerprint() == backbone.fingerprint()
    assert torch.equal(other.encode_text(NAMES), backbone.encode_text(NAMES))


@pytest.mark.parametrize("position", ["end", "middle", "front"])
@pytest.mark.parametrize(
    "options", [{"n_ctx": 3}, {"init_words": "a photo of a"}, {"class_specific": True, "init_words": "a photo of a"}]
)
def test_contract(backbone, position, options):
    check_head(PromptHead(position=position, **options), backbone)


def test_context_is_drawn_from_the_global_generator(backbone):
    head = built(backbone, n_ctx=200)
    assert head.context.dtype == torch.float32
    assert head.context.shape == (200, 16)
    assert head.context.std().item() == pytest.approx(0.02, rel=0.05)
    assert torch.equal(head.context, built(backbone, n_ctx=200).context)
    assert not torch.equal(head.context, built(backbone, seed=1, n_ctx=200).context)


def test_context_of_words(backbone):
    words = backbone.prompt_encoder().embed("a photo of a")
    shared = built(backbone, init_words="a photo of a")
    assert torch.equal(shared.context, words)
    torch.testing.assert_close(
        shared.class_features(), backbone.encode_text([f"a photo of a {name}" for name in NAMES]), atol=1e-5, rtol=0
    )
    specific = built(backbone, init_words="a photo of a", class_specific=True)
    assert specific.context.shape == (3, *words.shape)
    torch.testing.assert_close(specific.class_features(), shared.class_features())


def test_class_specific_contexts_differ(backbone):
    context = built(backbone, n_ctx=2, class_specific=True).context
    assert context.shape == (3, 2, 16)
    assert not torch.equal(context[0], context[1])


def test_state_dict_is_the_context_alone(backbone):
    head = built(backbone)
    assert list(head.state_dict()) == ["context"]
    assert [name for name, _ in head.named_parameters()] == ["context"]


def test_logits_are_scaled_cosines(backbone):
    head = built(backbone)
    images = F.normalize(torch.randn(5, 16), dim=1)
    torch.testing.assert_close(head(images), backbone.logit_scale * images @ head.class_features().T)


def test_training_lowers_the_loss(backbone):
    head = built(backbone, class_specific=True)
    images = F.normalize(torch.randn(12, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = torch.arange(12) % 3
    optimizer = torch.optim.SGD(head.parameters(), lr=0.5)
    losses = []
    for _ in range(20):
        loss = F.cross_entropy(head(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_default_device_does_not_matter(backbone):
    head = PromptHead(n_ctx=2)
    torch.manual_seed(0)
    with torch.device("meta"):
        head.build(backbone, NAMES)
    assert torch.equal(head.context, built(backbone, n_ctx=2).context)
    assert head.class_features().device.type == "cpu"


@pytest.mark.parametrize("options", [{"n_ctx": 0}, {"n_ctx": -1, "class_specific": True}])
def test_no_context_tokens(backbone, options):
    with pytest.raises(FgvrError, match=r"The prompt head has (0|-1) context tokens: give n_ctx of at least 1"):
        built(backbone, **options)
