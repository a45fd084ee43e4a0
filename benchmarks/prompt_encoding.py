"""A training step of prompt learning: shared prefix against the plain 77-token computation; ends with a line of JSON.

    python benchmarks/prompt_encoding.py --classes 200

Forward pass, loss and backward pass to the context: ViT-B/32's text tower at random weights, float32, a shared context
of 16 vectors before the names of birds made up here, image features cached, cross-entropy. Three things are timed, in
turns:

- shared: ``OpenClipPromptEncoder``, as in training.
- plain: CoOp's computation by its description (Zhou et al. 2022), written here: start token, context, name, full stop,
  end token and padding, 77 tokens for every class, through open_clip's modules and autograd. Classes go through in
  chunks, forward and backward each; the gradient of the features is handed to it, so it pays for one forward pass only.
  Of more classes than --plain-classes, the time is that of so many, times the ratio.
- bound: nothing but the matrix products of the linear layers, forward and to their inputs, for the tokens that must
  run (each beginning of names once, the ends alone behind the last block's keys and values), with the tower's weights.

With --growth-from N, shared steps of N classes are timed before and after each of --classes, for as many seconds in
all: ``growth`` is the ratio of the mean seconds a step, divided by that of the classes; 1 where time grows linearly.
Means, because both then had the machine's good and bad moments; the least of few long steps and of many short ones
could not be compared.

Times are the least of --repeats. With --clock cpu they are seconds of this process on the CPU, which other processes
disturb less; meant for one thread. The peak is that of the whole process, before the plain computation begins.
"""

import argparse
import json
import random
import resource
from collections.abc import Callable, Sequence

import open_clip
import torch
import torch.nn.functional as F
from device_clock import clock_of
from open_clip.transformer import TextTransformer
from torch import Tensor

from fgvr.backbones.open_clip_prompts import OpenClipPromptEncoder
from fgvr.pipeline.allocator import keep_freed_memory

N_CTX = 16
BATCH = 32
LOGIT_SCALE = 100.0


def _words(text: str) -> list[str]:
    return text.split()


FIRST = _words(
    "American Acadian African Alpine Amazon Andean Anna Arctic Artic Asian Atlantic Audubon Baird Baltimore Bank Barn "
    "Barred Bay Belted Bering Blue Boat Bohemian Brewer Bronzed Brown California Canada Cape Carolina Caspian Cedar "
    "Cerulean Chestnut Chipping Clark Clay Cliff Common Connecticut Cuban Desert Eared Eastern Elegant European "
    "Evening Field Fish Florida Forest Forster Fox Frigate Gadwall Geococcyx Glaucous Golden Grasshopper Gray Great "
    "Green Groove Harris Heermann Henslow Herring Hooded Horned House Indigo Island Ivory Japanese Kentucky Laysan "
    "Lazuli Least Lincoln Little Long Louisiana Magnolia Mallard Mangrove Marsh Mexican Mountain Myrtle Nashville "
    "Nelson Northern Olive Orange Orchard Pacific Painted Palm Parakeet Pelagic Philadelphia Pied Pigeon Pine "
    "Pomarine Prairie Prothonotary Purple Pygmy Rhinoceros Rock Rufous Rusty Sage Savannah Scarlet Scott Seaside "
    "Shiny Slaty Snow Song Sooty Southern Spotted Summer Swainson Tennessee Tree Tropical Varied Vermilion Vesper "
    "Warbling Western White Wilson Winter Worm Yellow Abert Aleutian Altamira Antillean Aplomado Arizona Ash Aztec "
    "Bachman Band Barrow Bell Bendire Bicknell Bonaparte Botteri Brandt Buller Bullock Cactus Calliope Canyon Cassin "
    "Cattle Chihuahuan Chuck Cinnamon Colima Cooper Cordilleran Couch Craveri Crested Crissal Curve Dickcissel Dusky "
    "Elf Emperor Fan Ferruginous Flammulated Franklin Gambel Gila Glossy Grace Greater Gunnison Hairy Hammond "
    "Harlequin Hepatic Hermit Hudsonian Hutton Inca Juniper King Kirtland Ladder Lapland Lark Lawrence Leach Lesser "
    "Lewis Limpkin Lucifer Lucy MacGillivray Magnificent Manx Marbled Merlin Montezuma Mottled Mourning Neotropic "
    "Nuttall Oak Parasitic Pectoral Phainopepla Plain Plumbeous Pyrrhuloxia Razor Ring Ross Royal Rivoli Ruff Sabine "
    "Sandwich Sedge Sharp Short Smith Sora Sprague Steller Stilt Surf Thayer Townsend Tricolored Tufted Upland Vaux "
    "Verdin Virginia Wandering Willet Williamson Wood Xantus Zone "
)
COLOURS = _words(
    "Black Blue Brown Red Yellow White Gray Green Orange Rose Ruby Chestnut Cream Bay Golden Olive Rufous Buff Scaly "
    "Clay Ash Brownish Copper Crimson Dark Dusky Fawn Lilac Pale Pink Purple Rusty Sooty Tawny Violet "
)
PARTS = _words(
    "footed billed throated bellied breasted winged headed crowned capped tailed eyed faced legged cheeked backed "
    "naped shouldered sided rumped collared "
)
KINDS = _words(
    "Albatross Auklet Blackbird Bobolink Bunting Cardinal Catbird Chat Cormorant Cowbird Creeper Crow Cuckoo Finch "
    "Flicker Flycatcher Frigatebird Fulmar Gadwall Goldfinch Grackle Grebe Grosbeak Guillemot Gull Hummingbird Jaeger "
    "Jay Junco Kingbird Kingfisher Kittiwake Lark Loon Mallard Meadowlark Merganser Mockingbird Nighthawk Nutcracker "
    "Nuthatch Oriole Ovenbird Pelican Pewee Pipit Puffin Raven Redstart Roadrunner Shrike Sparrow Starling Swallow "
    "Tanager Tern Thrasher Thrush Towhee Vireo Violetear Warbler Waterthrush Waxwing Widow Woodpecker Wren "
    "Yellowthroat Plover Sandpiper Heron Egret Ibis Stork Owl Hawk Eagle Falcon Kite Dove Parrot Toucan Trogon Barbet "
    "Honeyguide Piculet Antbird Manakin Cotinga Becard Lyrebird Bowerbird Honeyeater Whistler "
)


def make_names(number: int) -> list[str]:
    """Different names with the word and token counts of CUB-200's: 2.3 words, and about as many tokens."""
    draw, names = random.Random(0), dict[str, None]()
    while len(names) < number:
        kind, kinds = draw.random(), draw.choice(KINDS)
        first, colour, part = draw.choice(FIRST), draw.choice(COLOURS), draw.choice(PARTS)
        if kind < 0.72:
            names[f"{first} {kinds}"] = None
        elif kind < 0.98:
            names[f"{colour} {part} {kinds}"] = None
        else:
            names[f"{first} {colour} {part} {kinds}"] = None
    return list(names)


class PlainPrompts:
    """Every class's 77 tokens through the tower."""

    def __init__(self, tower: TextTransformer, names: Sequence[str]) -> None:
        self.tower = tower
        tokenizer = open_clip.get_tokenizer("ViT-B-32")
        tokens = tokenizer([f"{' '.join(['X'] * N_CTX)} {name}." for name in names]).to(_device(tower))
        self.ends = tokens.argmax(1)
        self.words = tower.token_embedding(tokens).detach()

    def features(self, context: Tensor, part: slice) -> Tensor:
        """L2-normalised features of some classes."""
        words, tower = self.words[part], self.tower
        vectors = context.expand(len(words), -1, -1)
        x = torch.cat((words[:, :1], vectors, words[:, 1 + N_CTX :]), dim=1) + tower.positional_embedding
        x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask))
        x = x[torch.arange(len(x)), self.ends[part]] @ tower.text_projection
        return F.normalize(x, dim=-1)

    def step(self, context: Tensor, gradient: Tensor, chunk: int) -> tuple[Tensor, Tensor]:
        """Features of all classes, and the context's gradient."""
        context = context.detach().requires_grad_()
        found = []
        for start in range(0, len(self.words), chunk):
            part = slice(start, start + chunk)
            features = self.features(context, part)
            features.backward(gradient[part])
            found.append(features.detach())
        assert context.grad is not None
        return torch.cat(found), context.grad


class SharedPrompts:
    """The same through fgvr's encoder, with the loss."""

    def __init__(self, tower: TextTransformer, names: Sequence[str]) -> None:
        self.encoder = OpenClipPromptEncoder(tower, open_clip.get_tokenizer("ViT-B-32"), batch_size=256)
        self.encoder.prepare(names, N_CTX, "end")
        self.encoder.to(_device(tower))
        draw = torch.Generator().manual_seed(1)
        self.images = F.normalize(torch.randn(BATCH, 512, generator=draw), dim=1).to(_device(tower))
        self.labels = torch.randint(len(names), (BATCH,), generator=draw).to(_device(tower))

    def step(self, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features of all classes, their gradient, and the context's."""
        context = context.detach().requires_grad_()
        features = self.encoder(context)
        features.retain_grad()
        F.cross_entropy(LOGIT_SCALE * self.images @ features.T, self.labels).backward()
        assert context.grad is not None
        return features.detach(), features.grad, context.grad

    def backward(self, context: Tensor, gradient: Tensor) -> Tensor:
        """The context's gradient from that of the features."""
        context = context.detach().requires_grad_()
        self.encoder(context).backward(gradient)
        assert context.grad is not None
        return context.grad


def needed_products(encoder: OpenClipPromptEncoder) -> list[tuple[int, Tensor]]:
    """The matrix products that must run in a step: rows, and the weights that they are multiplied by."""
    shared, blocks = encoder.shared, encoder.tower.transformer.resblocks
    d, products = encoder.token_dim, list[tuple[int, Tensor]]()
    last = len(blocks) - 1

    def add(i: int, rows: int, ends: int, learned: bool) -> None:
        """One block forward and backward: all rows to keys and values, the ends alone to the rest of the last block."""
        attention, mlp = blocks[i].attn, blocks[i].mlp
        rest = [attention.out_proj.weight, mlp.c_fc.weight, mlp.c_proj.weight]
        if i == last:
            inputs = [(rows, attention.in_proj_weight[d:]), (ends, attention.in_proj_weight[:d])]
        else:
            inputs = [(rows, attention.in_proj_weight)]
        rest = [(ends if i == last else rows, weight) for weight in rest]
        products.extend((number, weight.T) for number, weight in [*inputs, *rest])
        # names are not learned, so their gradient ends behind the first block's queries, keys and values
        products.extend(rest if i == 0 and not learned else [*inputs, *rest])

    for i in range(len(blocks)):
        add(i, len(shared.prefix.tokens), 0, learned=True)
        for chunk in shared.chunks:
            add(i, len(chunk.tokens), len(chunk.ends), learned=False)
    return [(rows, weight) for rows, weight in products if rows]


def multiply(products: Sequence[tuple[int, Tensor]], inputs: Tensor) -> None:
    """Do nothing but the products."""
    for rows, weight in products:
        torch.mm(inputs[: rows * len(weight)].view(rows, -1), weight)


def _device(tower: TextTransformer) -> torch.device:
    device: torch.device = tower.text_projection.device
    return device


def timed(function: Callable, clock: Callable[[], float]) -> tuple[float, object]:
    """Seconds and result of a call."""
    start = clock()
    result = function()
    return clock() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=12, help="of the shared step and of the products")
    parser.add_argument("--plain-repeats", type=int, default=2)
    parser.add_argument("--plain-classes", type=int, default=1000, help="most that the plain computation gets")
    parser.add_argument("--plain-chunk", type=int, default=25, help="classes that it takes at a time")
    parser.add_argument("--growth-from", type=int, help="time the shared step of so many classes too")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()  # as fgvr fit does
    clock = clock_of(options.clock, options.device)

    torch.manual_seed(0)
    config = open_clip.get_model_config("ViT-B-32")
    tower = TextTransformer(**config["text_cfg"], output_dim=config["embed_dim"]).eval().requires_grad_(False)
    context = (torch.randn(N_CTX, config["text_cfg"]["width"]) * 0.02).to(options.device)
    tower.to(options.device)
    names = make_names(options.classes)
    some = names[: options.plain_classes]

    shared = SharedPrompts(tower, names)
    seconds, (features, feature_gradient, context_gradient) = timed(lambda: shared.step(context), clock)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    chunks = shared.encoder.shared.chunks
    nodes, rows = (sum(len(getattr(chunk, what)) for chunk in chunks) for what in ("tokens", "path"))
    print(f"{len(names)} classes, {sum(len(name.split()) for name in names) / len(names):.2f} words a name;")
    print(f"{rows / len(names):.2f} tokens behind the context with full stop and end, {nodes / len(names):.2f} to run")

    products = needed_products(shared.encoder)
    inputs = torch.randn(max(rows * len(weight) for rows, weight in products), device=options.device)
    if len(some) < len(names):
        context_gradient = SharedPrompts(tower, some).backward(context, feature_gradient[: len(some)])
    plain = PlainPrompts(tower, some)
    fewer = SharedPrompts(tower, names[: options.growth_from]) if options.growth_from else None
    shared_s, plain_s, bound_s = [seconds], [], []
    fewer_s, around_s = list[float](), list[float]()
    for turn in range(max(options.repeats, options.plain_repeats)):
        if turn < options.repeats:
            bound_s.append(timed(lambda: multiply(products, inputs), clock)[0])
            if turn:
                shared_s.append(timed(lambda: shared.step(context), clock)[0])
        if fewer is not None and turn < options.repeats:
            half = max(len(names) // options.growth_from // 2, 1)
            fewer_s += [timed(lambda: fewer.step(context), clock)[0] for _ in range(half)]
            around_s.append(timed(lambda: shared.step(context), clock)[0])
            fewer_s += [timed(lambda: fewer.step(context), clock)[0] for _ in range(half)]
        if turn < options.plain_repeats:
            seconds, result = timed(
                lambda: plain.step(context, feature_gradient[: len(some)], options.plain_chunk), clock
            )
            plain_s.append(seconds * len(names) / len(some))
    plain_features, plain_gradient = result

    flops = sum(2 * rows * weight.numel() for rows, weight in products)
    figures = {
        "classes": len(names),
        "plain_s": round(min(plain_s), 3),
        "shared_s": round(min(shared_s), 4),
        "ratio": round(min(plain_s) / min(shared_s), 2),
        "bound_s": round(min(bound_s), 4),
        "share_of_bound": round(min(bound_s) / min(shared_s), 3),
        "max_feature_diff": (features[: len(some)] - plain_features).abs().max().item(),
        "rel_grad_diff": ((context_gradient - plain_gradient).norm() / plain_gradient.norm()).item(),
        "peak_mb": round(peak_mb),
    }
    if fewer is not None:
        mean, fewer_mean = (sum(seconds) / len(seconds) for seconds in (around_s, fewer_s))
        figures["growth"] = round(mean / fewer_mean * options.growth_from / len(names), 3)
        print(
            f"means: {mean:.2f} s, and {fewer_mean:.3f} s of {options.growth_from} classes; growth {figures['growth']}"
        )
    rate = flops / min(bound_s) / 1e9
    print(f"matrix products: {rate:.0f} GFLOP/s with {options.threads} threads, {options.clock} clock")
    print(f"plain {figures['plain_s']} s, shared {figures['shared_s']} s: {figures['ratio']} times faster")
    print(f"bound {figures['bound_s']} s: shared reaches {figures['share_of_bound']:.1%} of what its tokens allow")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
