"""Attention weights: those that each library returns when it is asked for them."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from attnsci._torchvision import load_torchvision
from attnsci.errors import InvalidInput, RecordingError
from attnsci.recording import Site, record
from attnsci.recording.attention import attention_weights

load_torchvision()  # before other libraries import it
MAP = ("head", "query", "key")
ROWS = torch.rand(5, 7, 8, generator=torch.Generator().manual_seed(1))
IMAGES = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def attention(model, shown, name="**", **options):
    return record(model.eval(), shown, Site(name, what="attention", **options), batch_size=3)


def check(got, truth):
    """Compare with weights of shape (stimulus, head, query, key)."""
    assert got.dims == ("stimulus", "time", *MAP)
    np.testing.assert_allclose(got[:, 0], truth.detach(), atol=2e-6)
    np.testing.assert_allclose(got.sum("key"), 1, atol=1e-5)
    assert float(got.std()) > 1e-4


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
def test_multihead_attention(batch_first, need_weights):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = nn.MultiheadAttention(8, 2, batch_first=batch_first, dropout=0.5)

        def forward(self, x):
            x = x if batch_first else x.transpose(0, 1)
            return self.attend(x, x, x, need_weights=need_weights)[0]

    torch.manual_seed(0)
    model = Model().eval()
    with torch.no_grad():
        x = ROWS if batch_first else ROWS.transpose(0, 1)
        truth = model.attend(x, x, x, average_attn_weights=False)[1]
    check(attention(model, ROWS, "attend")["attend"], truth)


def test_masks_are_honoured_also_in_the_fused_layer():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=False)
    padded = torch.zeros(5, 7, dtype=torch.bool)
    padded[:, 5:] = True
    causal = nn.Transformer.generate_square_subsequent_mask(7)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.padding, self.causal = (
                layer,
                nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True),
            )

        def forward(self, x):
            x = self.padding(x, src_key_padding_mask=padded[: len(x)])
            return self.causal(x, src_mask=causal, is_causal=True)

    model = Model().eval()
    enabled = torch.backends.mha.get_fastpath_enabled()
    got = attention(model, ROWS, "*")
    assert torch.backends.mha.get_fastpath_enabled() == enabled
    assert got.layers == ["padding", "causal"]
    with torch.no_grad():
        truth = layer.self_attn(
            ROWS, ROWS, ROWS, key_padding_mask=padded, average_attn_weights=False
        )[1]
    check(got["padding"], truth)
    assert not got["padding"][..., 5:].any()
    check(got["causal"], torch.from_numpy(got["causal"].values[:, 0]))
    assert not np.triu(got["causal"].values, 1).any()
    plain = record(model, ROWS, "", batch_size=3)["output"]
    both = record(model, ROWS, [Site("padding", what="attention"), ""], batch_size=3)["output"]
    np.testing.assert_allclose(both, plain, atol=1e-5)


def test_torchvision_vision_transformer():
    vit = load_torchvision().models.VisionTransformer
    torch.manual_seed(0)
    model = vit(32, 8, 2, 4, 16, 32, num_classes=7).eval()
    nn.init.normal_(model.heads.head.weight)
    plain = record(model, IMAGES, "", batch_size=3)["output"]
    both = record(model, IMAGES, [Site("encoder.layers.*", what="attention"), ""], batch_size=3)
    np.testing.assert_allclose(both["output"], plain, atol=1e-5)  # the fused layer is taken apart
    # The weights of the second layer, from what goes into it.
    layer = model.encoder.layers[1]
    into = record(model, IMAGES, "encoder.layers.encoder_layer_0", batch_size=3)
    x = torch.from_numpy(into["encoder.layers.encoder_layer_0"].values[:, 0])
    with torch.no_grad():
        x = layer.ln_1(x)
        truth = layer.self_attention(x, x, x, average_attn_weights=False)[1]
    got = both["encoder.layers.encoder_layer_1"]
    check(got, truth)
    assert got.key_kind.values.tolist() == ["class"] + ["patch"] * 16
    assert got.query_patch_x.values.tolist() == [-1, *list(range(4)) * 4]
    # Where does the class token look: a map of patches, by labels alone.
    row = got.isel(time=0, query=0).sel(key=got.key_kind == "patch")
    assert row.set_index(key=["key_patch_y", "key_patch_x"]).unstack("key").shape == (5, 4, 4, 4)


def test_torchvision_swin():
    swin = load_torchvision().models.SwinTransformer
    torch.manual_seed(0)
    model = swin([4, 4], 12, [2, 2], [2, 4], [4, 4], num_classes=5)
    got = attention(model, IMAGES)
    first = got["features.1.1.attn"]
    assert first.dims[2:] == ("window", *MAP)
    assert first.shape == (5, 1, 4, 2, 16, 16)
    np.testing.assert_allclose(first.sum("key"), 1, atol=1e-5)
    # Unshifted windows: from the layer's input, cut by hand.
    block = model.features[1][0]
    x = torch.from_numpy(
        record(model, IMAGES, "features.0", batch_size=3)["features.0"].values[:, 0]
    )
    with torch.no_grad():
        x = block.norm1(x).reshape(5, 2, 4, 2, 4, 12).transpose(2, 3).reshape(20, 16, 12)
        q, k, _ = block.attn.qkv(x).reshape(20, 16, 3, 2, 6).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) * 6**-0.5 + block.attn.get_relative_position_bias()
    truth = scores.softmax(-1).reshape(5, 4, 2, 16, 16)
    np.testing.assert_allclose(got["features.1.0.attn"][:, 0], truth, atol=2e-6)


@pytest.mark.parametrize("fused", [True, False])
def test_timm(fused):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, embed_dim=16, num_heads=2,
        reg_tokens=1,
    ).eval()  # fmt: skip
    inner = model.blocks[1].attn
    nn.init.normal_(inner.qkv.weight)
    for block in model.blocks:
        block.attn.fused_attn = fused
    got = attention(model, IMAGES, "blocks.*.attn")["blocks.1.attn"]
    x = torch.from_numpy(
        record(model, IMAGES, "blocks.1.norm1", batch_size=3)["blocks.1.norm1"].values[:, 0]
    )
    with torch.no_grad():
        q, k, _ = inner.qkv(x).reshape(5, 18, 3, 2, 8).permute(2, 0, 3, 1, 4)
    check(got, (q @ k.transpose(-2, -1) * inner.scale).softmax(-1))
    assert got.query_kind.values.tolist()[:3] == ["class", "register", "patch"]


@pytest.mark.parametrize("fused", [True, False])
def test_timm_swin(fused):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=64, window_size=4, embed_dim=12, depths=(2, 2),
        num_heads=(2, 4),
    ).eval()  # fmt: skip
    maps = []
    for name, module in model.named_modules():
        if name.endswith(".attn"):
            module.fused_attn = False
            module.softmax.register_forward_hook(lambda m, args, out: maps.append(out.clone()))
    with torch.no_grad():
        model(IMAGES.repeat(1, 1, 2, 2)[:3])
    for module in model.modules():
        module._forward_hooks.clear()
        if hasattr(module, "fused_attn"):
            module.fused_attn = fused
    got = attention(model, IMAGES.repeat(1, 1, 2, 2)[:3])
    assert got.layers == [f"layers.{i}.blocks.{j}.attn" for i in (0, 1) for j in (0, 1)]
    for array, truth in zip(got.values(), maps, strict=True):
        assert array.dims[2:] == ("window", *MAP)
        np.testing.assert_allclose(array.values.reshape(truth.shape), truth, atol=2e-6)


@pytest.mark.parametrize("kind", ["ViT", "DeiT", "Dinov2", "CLIPVision"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_hugging_face(kind, implementation):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        image_size=32, patch_size=8, initializer_range=0.5,
    )  # fmt: skip
    model = getattr(transformers, f"{kind}Model")(config).eval()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        truth = model(IMAGES, output_attentions=True).attentions
    model.set_attn_implementation(implementation)
    got = attention(model, IMAGES)
    assert len(got) == len(truth) == 2
    for array, weights in zip(got.values(), truth, strict=True):
        check(array, weights)


def test_hugging_face_swin():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.SwinConfig(
        image_size=32, patch_size=2, embed_dim=8, depths=[2, 1], num_heads=[2, 2], window_size=4
    )
    model = transformers.SwinModel(config).eval()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        truth = model(IMAGES, output_attentions=True).attentions
    got = list(attention(model, IMAGES).values())
    assert [array.dims[2:] for array in got] == [("window", *MAP)] * 3
    for array, weights in zip(got[1:], truth, strict=True):  # it returns the last of each stage
        np.testing.assert_allclose(array.values.reshape(weights.shape), weights, atol=2e-6)


def test_open_clip():
    open_clip = pytest.importorskip("open_clip")
    torch.manual_seed(0)
    vision = {"image_size": 32, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8}
    text = {"context_length": 6, "vocab_size": 20, "width": 16, "heads": 2, "layers": 2}
    clip = open_clip.model.CLIP(embed_dim=8, vision_cfg=vision, text_cfg=text).eval()
    model = clip.visual
    got = attention(model, IMAGES, "transformer.resblocks.*")
    x = record(model, IMAGES, "transformer.resblocks.1.ln_1", batch_size=3)
    x = torch.from_numpy(x["transformer.resblocks.1.ln_1"].values[:, 0])
    inner = model.transformer.resblocks[1].attn
    with torch.no_grad():
        x = x if inner.batch_first else x.transpose(0, 1)
        truth = inner(x, x, x, average_attn_weights=False)[1]
    check(got["transformer.resblocks.1"], truth)

    class Text(nn.Module):
        def __init__(self):
            super().__init__()
            self.clip = clip

        def forward(self, words):
            return self.clip.encode_text(words)

    words = torch.randint(1, 20, (5, 6), generator=torch.Generator().manual_seed(0))
    causal = attention(Text(), words, "clip.transformer.**")
    assert [array.dims[2:] for array in causal.values()] == [MAP, MAP]
    assert not any(np.triu(array.values, 1).any() for array in causal.values())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"scale": 0.3},
        {"attn_mask": torch.rand(5, 6, generator=torch.Generator().manual_seed(0)) > 0.4},
        {"attn_mask": torch.rand(5, 6, generator=torch.Generator().manual_seed(0))},
        {"attn_mask": torch.zeros(5, 6, dtype=torch.bool)},
        {"enable_gqa": True},
    ],
)
def test_weights_are_those_of_the_fused_function(options):
    generator = torch.Generator().manual_seed(3)
    heads = 2 if "enable_gqa" in options else 4
    query = torch.rand(2, 4, 5, 8, generator=generator)
    key = torch.rand(2, heads, 6, 8, generator=generator)
    value = torch.rand(2, heads, 6, 8, generator=generator)
    weights = attention_weights(query, key, value, **options)
    truth = functional.scaled_dot_product_attention(query, key, value, **options)
    shown = value.repeat_interleave(4 // heads, 1)
    torch.testing.assert_close(weights @ shown, truth, atol=1e-5, rtol=1e-5)


class Written(nn.Module):
    """Attention as people write it, beside a gate that is a softmax and no attention."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.gate = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        gate = self.gate(x).softmax(-1)
        scores = torch.einsum("nqd,nkd->nqk", self.q(x), self.k(x))
        return torch.softmax(scores, dim=-1) @ (gate * x)


def test_attention_as_people_write_it():
    torch.manual_seed(0)
    model = nn.Sequential(Written())
    got = attention(model, ROWS, "0")["0"]
    with torch.no_grad():
        truth = (model[0].q(ROWS) @ model[0].k(ROWS).transpose(1, 2)).softmax(-1)
    assert got.dims == ("stimulus", "time", "query", "key")
    np.testing.assert_allclose(got[:, 0], truth, atol=2e-6)
    mean = attention(model, ROWS, "0", reduce=lambda weights: weights.mean(1))["0"]
    assert mean.dims == ("stimulus", "time", "key")


def test_recurrent_attention_becomes_time():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Written()

        def forward(self, x):
            return self.inner(self.inner(x))

    assert attention(Twice(), ROWS, "inner")["inner"].sizes["time"] == 2


def test_what_has_no_attention_is_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softmax(1))
    for name in ("0", "*", "1"):
        with pytest.raises(
            RecordingError, match=f"No attention ran in '{name}'".replace("*", r"\*")
        ):
            attention(model, IMAGES, name)
    with pytest.raises(InvalidInput, match="takes no pick"):
        Site("0", what="attention", pick=1)


def test_two_attentions_under_one_site_are_refused_and_recorded_apart():
    torch.manual_seed(0)
    layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.decoder = layer

        def forward(self, x):
            return self.decoder(x, x[:, :3])

    with pytest.raises(RecordingError, match=r"self_attn.*multihead_attn.*decoder\.\*\*"):
        attention(Model(), ROWS, "decoder")
    got = attention(Model(), ROWS, "decoder.**")
    assert got["decoder.multihead_attn"].shape == (5, 1, 2, 7, 3)
    assert got["decoder.self_attn"].shape == (5, 1, 2, 7, 7)
