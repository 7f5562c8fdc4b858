"""Small instances of every backbone that KerasHub 0.32.0 exports, with random weights.

`BUILDERS` makes them from arguments written here, so nothing is downloaded, and
`example` makes inputs that an instance accepts. Vision and text encoders that are
models of their own are among them.

    python benchmarks/keras_hub_instances.py [--only BertBackbone SAMBackbone]

builds each in turn and calls it on its example.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_hub
import numpy as np

# Parts of exported backbones that are not exported themselves.
from keras_hub.src.models.gemma3n.gemma3n_audio_encoder import Gemma3nAudioEncoder
from keras_hub.src.models.vae.vae_backbone import VAEBackbone

Kwargs = dict[str, Any]
Builder = Callable[[], keras.Model]

VOCABULARY = 64
# The placeholders that Gemma3n replaces by what its encoders make; no random token.
IMAGE_TOKEN = VOCABULARY - 2
AUDIO_TOKEN = VOCABULARY - 1
MAX_LENGTH = 32
IMAGE_SIZE = 32
IMAGE_SHAPE = (IMAGE_SIZE, IMAGE_SIZE, 3)
PATCH = 8
PATCHES = (IMAGE_SIZE // PATCH) ** 2
# Where the tokens of the one image and of the one recording of each prompt belong:
# the encoders below make four of either.
IMAGE_POSITIONS = np.arange(1, 5)
AUDIO_POSITIONS = np.arange(6, 10)
AUDIO_FRAMES = 16
AUDIO_FEATURES = 8

SIZES: Kwargs = {"num_layers": 2, "hidden_dim": 16, "intermediate_dim": 32}
ENCODER: Kwargs = {**SIZES, "num_heads": 2}
TEXT: Kwargs = {**ENCODER, "vocabulary_size": VOCABULARY}
BOUNDED_TEXT: Kwargs = {**TEXT, "max_sequence_length": MAX_LENGTH}
GROUPED_HEADS: Kwargs = {"num_query_heads": 4, "num_key_value_heads": 2}
DECODER: Kwargs = {**SIZES, **GROUPED_HEADS, "vocabulary_size": VOCABULARY}
EXPERTS: Kwargs = {"num_experts": 4, "top_k": 2}
IMAGE_ENCODER: Kwargs = {**ENCODER, "image_shape": IMAGE_SHAPE, "patch_size": PATCH}
EMBEDDED_TEXT: Kwargs = {**BOUNDED_TEXT, "embedding_dim": 16}

GEMMA: Kwargs = {**DECODER, "head_dim": 4}
GEMMA_IMAGES: Kwargs = {
    **ENCODER,
    "image_size": IMAGE_SIZE,
    "patch_size": PATCH,
    "pool_size": 2,
    "output_dim": 16,
}
QWEN3_5: Kwargs = {
    "vocabulary_size": VOCABULARY,
    "num_layers": 2,
    **GROUPED_HEADS,
    "head_dim": 8,
    "hidden_dim": 16,
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 4,
    "linear_value_head_dim": 4,
}
T5GEMMA_SIDE: Kwargs = {
    "hidden_dim": 16,
    "intermediate_dim": 32,
    "num_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "layer_types": ["sliding_attention", "full_attention"],
}
T5GEMMA: Kwargs = {
    "vocabulary_size": VOCABULARY,
    **{f"encoder_{name}": value for name, value in T5GEMMA_SIDE.items()},
    **{f"decoder_{name}": value for name, value in T5GEMMA_SIDE.items()},
    "sliding_window": 8,
    "cross_attention_hidden_size": 16,
}
RESNET: Kwargs = {
    # The class allows no other width of the stem and the first stage.
    "input_conv_filters": [64],
    "input_conv_kernel_sizes": [7],
    "stackwise_num_filters": [64, 16, 16, 16],
    "stackwise_num_blocks": [1, 1, 1, 1],
    "stackwise_num_strides": [1, 2, 2, 2],
    "block_type": "basic_block",
}
DINO: Kwargs = {**IMAGE_ENCODER, "num_register_tokens": 2}
MIT: Kwargs = {
    "image_shape": IMAGE_SHAPE,
    "num_layers": 2,
    "layerwise_depths": [1, 1],
    "hidden_dims": [8, 16],
    "layerwise_num_heads": [1, 2],
    "layerwise_sr_ratios": [4, 2],
    "layerwise_patch_sizes": [7, 3],
    "layerwise_strides": [4, 2],
    "max_drop_path_rate": 0.1,
}
VIT_DET: Kwargs = {
    "hidden_size": 16,
    "num_layers": 2,
    "intermediate_dim": 32,
    "num_heads": 2,
    "global_attention_layer_indices": [1],
    "image_shape": IMAGE_SHAPE,
    "patch_size": PATCH,
    "num_output_channels": 8,
    "window_size": 2,
}
HGNET: Kwargs = {
    "stem_channels": [3, 8, 8],
    "embedding_size": 8,
    "depths": [1, 1],
    "hidden_sizes": [16, 32],
    # Channels in, between and out, blocks, layers and kernel size of each stage.
    "stackwise_stage_filters": [[8, 8, 16, 1, 2, 3], [16, 8, 32, 1, 2, 3]],
    "apply_downsample": [False, True],
    "use_lightweight_conv_block": [False, True],
    "use_learnable_affine_block": True,
    "hidden_act": "relu",
    "image_shape": IMAGE_SHAPE,
    "out_features": ["stage1", "stage2"],
}
# One block a stage, a column each.
MOBILENET_V5_STAGES: dict[str, list[Any]] = {
    "block_types": ["er", "uir", "mqa"],
    "num_filters": [8, 16, 16],
    "strides": [2, 2, 1],
    "act_layers": ["gelu", "gelu", "gelu"],
    "exp_ratios": [2.0, 2.0, 1.0],
    "se_ratios": [0.0, 0.0, 0.0],
    "dw_kernel_sizes": [0, 3, 3],
    "dw_start_kernel_sizes": [0, 3, 0],
    "dw_end_kernel_sizes": [0, 0, 0],
    "exp_kernel_sizes": [3, 0, 0],
    "pw_kernel_sizes": [1, 0, 0],
    "num_heads": [0, 0, 2],
    "key_dims": [0, 0, 8],
    "value_dims": [0, 0, 8],
    "kv_strides": [0, 0, 1],
    "use_cpe": [False, False, False],
}
MOBILENET_V5: Kwargs = {
    "stackwise_num_blocks": [1, 1, 1],
    **{
        f"stackwise_{name}": [[value] for value in stages]
        for name, stages in MOBILENET_V5_STAGES.items()
    },
    "stem_size": 8,
    "num_features": 16,
    "msfa_output_resolution": 2,
    "image_shape": IMAGE_SHAPE,
}

ARGUMENTS: dict[str, Kwargs] = {
    "AlbertBackbone": EMBEDDED_TEXT,
    "BLIP2VisionEncoder": {
        **ENCODER,
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH,
        "use_patch_bias": True,
        "use_class_token": True,
        "use_mha_bias": True,
        "use_mlp_bias": True,
        "dropout_rate": 0.0,
        "layer_norm_epsilon": 1e-6,
        "initializer_range": 0.02,
    },
    "BartBackbone": BOUNDED_TEXT,
    "BertBackbone": BOUNDED_TEXT,
    "BloomBackbone": TEXT,
    "CLIPTextEncoder": EMBEDDED_TEXT,
    "CLIPVisionEncoder": IMAGE_ENCODER,
    "CSPNetBackbone": {
        "stem_filters": 8,
        "stem_kernel_size": 3,
        "stem_strides": 1,
        "stackwise_depth": [1, 2],
        "stackwise_strides": 2,
        "stackwise_num_filters": [8, 16],
        "block_type": "dark_block",
        "stage_type": "csp",
        "bottle_ratio": [0.5, 1.0],
        "block_ratio": [1.0, 0.5],
        "expand_ratio": [2.0, 1.0],
        "stem_padding": "same",
        "down_growth": True,
        "image_shape": IMAGE_SHAPE,
    },
    "DINOV2Backbone": {**DINO, "position_embedding_shape": IMAGE_SHAPE},
    "DINOV3Backbone": DINO,
    "DebertaV3Backbone": {**BOUNDED_TEXT, "bucket_size": 8},
    "DeiTBackbone": IMAGE_ENCODER,
    "DenseNetBackbone": {
        "stackwise_num_repeats": [1, 2],
        "growth_rate": 4,
        "image_shape": IMAGE_SHAPE,
    },
    "DistilBertBackbone": BOUNDED_TEXT,
    "ESMBackbone": BOUNDED_TEXT,
    "EdRecBackbone": {
        "vocab_size": VOCABULARY,
        "num_layers_enc": 2,
        "num_layers_dec": 2,
        "hidden_dim": 16,
        "intermediate_dim": 32,
        "num_heads": 2,
    },
    "EfficientNetBackbone": {
        "stackwise_kernel_sizes": [3, 5, 3],
        "stackwise_num_repeats": [1, 2, 1],
        "stackwise_input_filters": [8, 8, 16],
        "stackwise_output_filters": [8, 16, 16],
        "stackwise_expansion_ratios": [1, 2, 2],
        "stackwise_squeeze_and_excite_ratios": [0.0, 0.25, 0.25],
        "stackwise_strides": [1, 2, 2],
        "stackwise_block_types": ["fused", "unfused", "v1"],
        "stackwise_width_coefficients": [1.0] * 3,
        "stackwise_depth_coefficients": [1.0] * 3,
        "num_features": 32,
        "input_shape": IMAGE_SHAPE,
    },
    "ElectraBackbone": {
        **ENCODER,
        "vocab_size": VOCABULARY,
        "embedding_dim": 8,
        "max_sequence_length": MAX_LENGTH,
    },
    "FNetBackbone": {
        **SIZES,
        "vocabulary_size": VOCABULARY,
        "max_sequence_length": MAX_LENGTH,
    },
    "FalconBackbone": {
        **SIZES,
        "vocabulary_size": VOCABULARY,
        "num_attention_heads": 2,
    },
    "FluxBackbone": {
        "input_channels": 8,
        "hidden_size": 32,
        "mlp_ratio": 2.0,
        "num_heads": 2,
        "depth": 1,
        "depth_single_blocks": 1,
        # The rotary dimensions of a head's 16: one entry for each column of the ids.
        "axes_dim": [4, 6, 6],
        "theta": 10_000,
        "use_bias": True,
        "guidance_embed": True,
        "image_shape": (16, 8),
        "image_ids_shape": (16, 3),
        "text_shape": (8, 16),
        "text_ids_shape": (8, 3),
        "y_shape": (16,),
    },
    "GPT2Backbone": BOUNDED_TEXT,
    "GPTNeoXBackbone": {**BOUNDED_TEXT, "rotary_percentage": 0.5},
    "Gemma3VisionEncoder": GEMMA_IMAGES,
    "Gemma4VisionEncoder": {**GEMMA_IMAGES, "head_dim": 8},
    "GemmaBackbone": GEMMA,
    "GptOssBackbone": {**DECODER, **EXPERTS, "sliding_window": 4},
    "HGNetV2Backbone": HGNET,
    "Llama3Backbone": DECODER,
    "LlamaBackbone": DECODER,
    "MetaCLIP2TextEncoder": EMBEDDED_TEXT,
    "MetaCLIP2VisionEncoder": IMAGE_ENCODER,
    "MiTBackbone": MIT,
    "MistralBackbone": {**DECODER, "sliding_window": 4},
    "MixtralBackbone": {**DECODER, **EXPERTS, "sliding_window": 4},
    "MobileNetBackbone": {
        "input_num_filters": 8,
        "depthwise_filters": 8,
        "depthwise_stride": 2,
        "depthwise_residual": False,
        "squeeze_and_excite": 0.5,
        "stackwise_num_blocks": [1, 2],
        "stackwise_expansion": [[16], [24, 24]],
        "stackwise_num_filters": [[8], [16, 16]],
        "stackwise_kernel_size": [[3], [5, 5]],
        "stackwise_num_strides": [[2], [1, 1]],
        "stackwise_se_ratio": [[None], [0.25, 0.25]],
        "stackwise_activation": [["relu"], ["hard_swish", "hard_swish"]],
        "stackwise_padding": [[1], [2, 2]],
        "last_layer_filter": 32,
        "output_num_filters": 32,
        "image_shape": IMAGE_SHAPE,
    },
    "MobileNetV5Backbone": MOBILENET_V5,
    "MoonshineBackbone": {
        "vocabulary_size": VOCABULARY,
        "filter_dim": 16,
        "hidden_dim": 16,
        "intermediate_dim": 32,
        "encoder_num_layers": 2,
        "decoder_num_layers": 2,
        "encoder_num_heads": 2,
        "decoder_num_heads": 2,
    },
    "OPTBackbone": BOUNDED_TEXT,
    "PaliGemmaBackbone": {
        **GEMMA,
        "image_size": IMAGE_SIZE,
        "vit_patch_size": PATCH,
        "vit_num_heads": 2,
        "vit_hidden_dim": 16,
        "vit_num_layers": 2,
        "vit_intermediate_dim": 32,
    },
    "Phi3Backbone": DECODER,
    "Qwen3Backbone": {**DECODER, "head_dim": 8},
    "Qwen3MoeBackbone": {**DECODER, **EXPERTS, "moe_intermediate_dim": 16},
    # Text only: both have a vision tower that reads its inputs as NumPy arrays, so
    # that no compiled function, as `fit` and `predict` make, can call it.
    "Qwen3_5Backbone": {**QWEN3_5, "intermediate_dim": 32},
    "Qwen3_5MoeBackbone": {
        **QWEN3_5,
        **EXPERTS,
        "moe_intermediate_dim": 16,
        "shared_expert_intermediate_size": 16,
    },
    "QwenBackbone": DECODER,
    "QwenMoeBackbone": {
        **DECODER,
        **EXPERTS,
        "moe_intermediate_dim": 16,
        "shared_expert_intermediate_dim": 32,
    },
    "RWKV7Backbone": {
        "vocabulary_size": VOCABULARY,
        "num_layers": 2,
        "hidden_size": 16,
        "head_size": 4,
        "intermediate_dim": 32,
        "gate_lora": 8,
        "mv_lora": 8,
        "aaa_lora": 8,
        "decay_lora": 8,
    },
    "ResNetBackbone": {**RESNET, "image_shape": IMAGE_SHAPE},
    "RobertaBackbone": BOUNDED_TEXT,
    "RoformerV2Backbone": {**TEXT, "head_size": 8},
    "SigLIPTextEncoder": EMBEDDED_TEXT,
    "SigLIPVisionEncoder": IMAGE_ENCODER,
    "SmolLM3Backbone": {
        **SIZES,
        "vocabulary_size": VOCABULARY,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "rope_layer_enabled_list": [True, False],
        "layer_types": ["attention", "attention"],
        "mlp_bias": False,
        "layer_norm_epsilon": 1e-5,
        "max_position_embeddings": MAX_LENGTH,
        "rope_theta": 10_000.0,
        "partial_rotary_factor": 1.0,
    },
    "SwinTransformerBackbone": {
        "image_shape": IMAGE_SHAPE,
        "embed_dim": 8,
        "depths": (2, 2),
        "num_heads": (2, 4),
        "window_size": 4,
    },
    "T5Backbone": TEXT,
    "T5GemmaBackbone": T5GEMMA,
    "VGGBackbone": {
        "stackwise_num_repeats": [1, 2],
        "stackwise_num_filters": [8, 16],
        "image_shape": IMAGE_SHAPE,
    },
    "ViTBackbone": {
        "image_shape": IMAGE_SHAPE,
        "patch_size": (PATCH, PATCH),
        "num_layers": 2,
        "num_heads": 2,
        "hidden_dim": 16,
        "mlp_dim": 32,
    },
    "ViTDetBackbone": VIT_DET,
    "VideoPrismBackbone": {
        "num_frames": 2,
        "patch_size": PATCH,
        "hidden_dim": 16,
        "intermediate_dim": 32,
        "num_heads": 2,
        "num_spatial_layers": 1,
        "num_temporal_layers": 1,
        "num_auxiliary_layers": 1,
        "vocabulary_size": VOCABULARY,
        "num_text_layers": 1,
        "image_shape": IMAGE_SHAPE,
    },
    "WhisperBackbone": {
        **TEXT,
        "max_encoder_sequence_length": MAX_LENGTH,
        "max_decoder_sequence_length": MAX_LENGTH,
    },
    "XLMRobertaBackbone": BOUNDED_TEXT,
    "XLNetBackbone": TEXT,
    "XceptionBackbone": {
        "stackwise_conv_filters": [[8, 16], [16, 16]],
        "stackwise_pooling": [True, False],
        "image_shape": IMAGE_SHAPE,
    },
}


def plain(name: str, /, **more: Any) -> keras.Model:
    """The class `name` with its arguments of the table, and `more`."""
    return getattr(keras_hub.models, name)(**ARGUMENTS[name], **more)


def basnet() -> keras.Model:
    """48 million parameters: the class leaves only the encoder's widths to choose."""
    return keras_hub.models.BASNetBackbone(
        image_encoder=keras_hub.models.ResNetBackbone(**RESNET),
        num_classes=1,
        image_shape=(64, 64, 3),
    )


def blip2() -> keras.Model:
    qformer = keras_hub.models.BLIP2QFormer(
        **ENCODER,
        num_query_tokens=2,
        vision_dim=16,
        cross_attention_frequency=2,
        dropout=0.0,
        layer_norm_epsilon=1e-6,
    )
    language_model = keras_hub.models.BLIP2CustomOPT(
        **BOUNDED_TEXT, num_query_tokens=2, qformer_hidden_dim=16, dropout=0.0
    )
    return keras_hub.models.BLIP2Backbone(
        vision_encoder=plain("BLIP2VisionEncoder"),
        qformer=qformer,
        language_model=language_model,
    )


def contrastive(family: str, **more: Any) -> keras.Model:
    """An image encoder beside a text encoder."""
    return getattr(keras_hub.models, f"{family}Backbone")(
        vision_encoder=plain(f"{family}VisionEncoder", name="vision_encoder"),
        text_encoder=plain(f"{family}TextEncoder", name="text_encoder"),
        **more,
    )


def d_fine() -> keras.Model:
    return keras_hub.models.DFineBackbone(
        backbone=keras_hub.models.HGNetV2Backbone(**HGNET),
        out_features=HGNET["out_features"],
        image_shape=IMAGE_SHAPE,
        anchor_image_size=IMAGE_SHAPE[:2],
        feat_strides=[4, 8],
        num_feature_levels=2,
        encoder_in_channels=HGNET["hidden_sizes"],
        encoder_hidden_dim=16,
        encoder_ffn_dim=32,
        encode_proj_layers=[1],
        num_encoder_layers=1,
        num_attention_heads=2,
        hidden_dim=16,
        hidden_expansion=0.5,
        depth_multiplier=0.5,
        decoder_in_channels=[16, 16],
        decoder_ffn_dim=32,
        decoder_attention_heads=2,
        decoder_n_points=[2, 2],
        num_decoder_layers=2,
        eval_idx=-1,
        lqe_hidden_dim=16,
        num_lqe_layers=2,
        num_labels=4,
        num_queries=10,
        num_denoising=0,
        learn_initial_query=False,
        seed=0,
    )


def deeplab_v3() -> keras.Model:
    return keras_hub.models.DeepLabV3Backbone(
        image_encoder=keras_hub.models.ResNetBackbone(**RESNET),
        low_level_feature_key="P2",
        spatial_pyramid_pooling_key="P4",
        upsampling_size=4,
        dilation_rates=[1, 2],
        projection_filters=8,
        image_shape=IMAGE_SHAPE,
    )


def depth_anything() -> keras.Model:
    # The coarsest of its four grids, half as fine as the patches, wants 3 by 3.
    image_shape = (6 * PATCH, 6 * PATCH, 3)
    image_encoder = keras_hub.models.DINOV2Backbone(
        **{**DINO, "num_layers": 4, "image_shape": image_shape},
        position_embedding_shape=image_shape,
        apply_layernorm=True,
    )
    return keras_hub.models.DepthAnythingBackbone(
        image_encoder=image_encoder,
        feature_keys=["stage1", "stage2", "stage3", "stage4"],
        reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_dims=[8, 8, 16, 16],
        fusion_hidden_dim=16,
        head_hidden_dim=8,
        head_in_index=-1,
    )


def gemma3() -> keras.Model:
    return keras_hub.models.Gemma3Backbone(
        **GEMMA,
        image_size=IMAGE_SIZE,
        vision_encoder=plain("Gemma3VisionEncoder"),
        use_sliding_window_attention=True,
        sliding_window_size=8,
        use_post_ffw_norm=True,
        use_post_attention_norm=True,
    )


def gemma3n() -> keras.Model:
    audio_encoder = Gemma3nAudioEncoder(
        hidden_size=16,
        input_feat_size=AUDIO_FEATURES,
        sscp_conv_channel_size=[4, 4],
        sscp_conv_kernel_size=[(3, 3), (3, 3)],
        sscp_conv_stride_size=[(2, 2), (2, 2)],
        sscp_conv_group_norm_eps=1e-5,
        num_hidden_layers=1,
        rms_norm_eps=1e-6,
        gradient_clipping=1e10,
        residual_weight=0.5,
        num_attention_heads=2,
        attention_chunk_size=2,
        num_attention_context_right=1,
        num_attention_context_left=1,
        attention_logit_cap=50.0,
        conv_kernel_size=3,
        reduction_factor=1,
    )
    return keras_hub.models.Gemma3nBackbone(
        text_vocab_size=VOCABULARY,
        text_hidden_size=16,
        num_hidden_layers=2,
        pad_token_id=0,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=4,
        intermediate_size=[32, 32],
        hidden_activation="gelu_approximate",
        layer_types=["sliding_attention", "full_attention"],
        sliding_window=8,
        rope_theta=10_000.0,
        max_position_embeddings=MAX_LENGTH,
        vocab_size_per_layer_input=VOCABULARY,
        hidden_size_per_layer_input=8,
        altup_num_inputs=2,
        laurel_rank=4,
        vision_encoder_config=plain("MobileNetV5Backbone").get_config(),
        vision_hidden_size=16,
        vision_vocab_offset=VOCABULARY,
        vision_vocab_size=8,
        vision_soft_tokens_per_image=len(IMAGE_POSITIONS),
        image_token_id=IMAGE_TOKEN,
        audio_encoder_config=audio_encoder.get_config(),
        audio_hidden_size=16,
        audio_vocab_offset=VOCABULARY + 8,
        audio_vocab_size=8,
        audio_soft_tokens_per_image=len(AUDIO_POSITIONS),
        audio_token_id=AUDIO_TOKEN,
    )


def gemma4_audio_layers() -> keras.Model:
    """The encoder as Gemma4 takes it: a model without inputs of its own."""
    return keras_hub.models.Gemma4AudioEncoder(
        input_feat_size=AUDIO_FEATURES,
        hidden_size=16,
        num_heads=2,
        num_layers=1,
        chunk_size=4,
        context_left=3,
        sscp_conv_channels=(8, 4),
        output_proj_dims=None,
        output_dim=16,
    )


def gemma4_audio_encoder() -> keras.Model:
    mel = keras.Input((None, None, AUDIO_FEATURES), name="audio_mel")
    mask = keras.Input((None, None), dtype="bool", name="audio_mel_mask")
    return keras.Model(
        {"audio_mel": mel, "audio_mel_mask": mask},
        gemma4_audio_layers()(mel, mask),
        name="Gemma4AudioEncoder",
    )


def gemma4() -> keras.Model:
    return keras_hub.models.Gemma4Backbone(
        **GEMMA,
        image_size=IMAGE_SIZE,
        layer_types=["sliding_attention", "full_attention"],
        sliding_window_size=8,
        vision_encoder=plain("Gemma4VisionEncoder"),
        audio_encoder=gemma4_audio_layers(),
        num_audio_tokens_per_clip=len(AUDIO_POSITIONS),
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=VOCABULARY,
    )


def parseq() -> keras.Model:
    return keras_hub.models.PARSeqBackbone(
        image_encoder=plain("ViTBackbone", use_class_token=False, name="image_encoder"),
        vocabulary_size=VOCABULARY,
        max_label_length=MAX_LENGTH,
        decoder_hidden_dim=16,
        num_decoder_layers=1,
        num_decoder_heads=2,
        decoder_mlp_dim=32,
    )


def retinanet() -> keras.Model:
    return keras_hub.models.RetinaNetBackbone(
        image_encoder=keras_hub.models.ResNetBackbone(**RESNET),
        min_level=3,
        max_level=6,
        use_p5=True,
        image_shape=(64, 64, 3),
    )


def sam() -> keras.Model:
    side = IMAGE_SIZE // PATCH
    return keras_hub.models.SAMBackbone(
        image_encoder=plain("ViTDetBackbone"),
        prompt_encoder=keras_hub.layers.SAMPromptEncoder(
            hidden_size=8,
            image_embedding_size=(side, side),
            input_image_size=IMAGE_SHAPE[:2],
            mask_in_channels=8,
        ),
        mask_decoder=keras_hub.layers.SAMMaskDecoder(
            hidden_size=8,
            num_layers=2,
            intermediate_dim=16,
            num_heads=2,
            embedding_dim=8,
            iou_head_hidden_dim=8,
        ),
    )


def sam3() -> keras.Model:
    image = {"image_shape": IMAGE_SHAPE, "patch_size": PATCH}
    layers = keras_hub.layers
    return keras_hub.models.SAM3PromptableConceptBackbone(
        vision_encoder=layers.SAM3VisionEncoder(
            **ENCODER,
            **image,
            fpn_hidden_dim=16,
            fpn_scale_factors=[4.0, 2.0, 1.0, 0.5],
            pretrain_image_shape=IMAGE_SHAPE,
            window_size=2,
            global_attn_indexes=[1],
        ),
        text_encoder=layers.SAM3TextEncoder(**EMBEDDED_TEXT),
        geometry_encoder=layers.SAM3GeometryEncoder(**ENCODER, roi_size=3),
        detr_encoder=layers.SAM3DetrEncoder(**ENCODER),
        detr_decoder=layers.SAM3DetrDecoder(**ENCODER, **image, num_queries=8),
        mask_decoder=layers.SAM3MaskDecoder(
            num_upsampling_stages=3, hidden_dim=16, num_heads=2
        ),
    )


def segformer() -> keras.Model:
    return keras_hub.models.SegFormerBackbone(
        image_encoder=plain("MiTBackbone"), projection_filters=16
    )


def stable_diffusion_3() -> keras.Model:
    vae = VAEBackbone(
        # Its normalization wants multiples of 32.
        encoder_num_filters=[32] * 4,
        encoder_num_blocks=[1] * 4,
        decoder_num_filters=[32] * 4,
        decoder_num_blocks=[1] * 4,
        sampler_method="mode",
        image_shape=IMAGE_SHAPE,
        name="vae",
    )
    clip = {**EMBEDDED_TEXT, "intermediate_output_index": -2}
    return keras_hub.models.StableDiffusion3Backbone(
        mmdit_patch_size=2,
        mmdit_hidden_dim=16,
        mmdit_num_layers=2,
        mmdit_num_heads=2,
        mmdit_position_size=8,
        mmdit_qk_norm=None,
        mmdit_dual_attention_indices=None,
        vae=vae,
        clip_l=keras_hub.models.CLIPTextEncoder(**clip, name="clip_l"),
        clip_g=keras_hub.models.CLIPTextEncoder(**clip, name="clip_g"),
        image_shape=IMAGE_SHAPE,
    )


def t5gemma2() -> keras.Model:
    return keras_hub.models.T5Gemma2Backbone(
        **T5GEMMA,
        vision_encoder=plain("Gemma3VisionEncoder"),
        eoi_token_index=IMAGE_TOKEN,
    )


COMPOSED: dict[str, Builder] = {
    "BASNetBackbone": basnet,
    "BLIP2Backbone": blip2,
    "CLIPBackbone": partial(contrastive, "CLIP", projection_dim=16),
    "DFineBackbone": d_fine,
    "DeepLabV3Backbone": deeplab_v3,
    "DepthAnythingBackbone": depth_anything,
    "Gemma3Backbone": gemma3,
    "Gemma3nBackbone": gemma3n,
    "Gemma4AudioEncoder": gemma4_audio_encoder,
    "Gemma4Backbone": gemma4,
    "MetaCLIP2Backbone": partial(contrastive, "MetaCLIP2", projection_dim=16),
    "PARSeqBackbone": parseq,
    "RetinaNetBackbone": retinanet,
    "SAM3PromptableConceptBackbone": sam3,
    "SAMBackbone": sam,
    "SegFormerBackbone": segformer,
    "SigLIPBackbone": partial(contrastive, "SigLIP"),
    "StableDiffusion3Backbone": stable_diffusion_3,
    "T5Gemma2Backbone": t5gemma2,
}
SIMPLE: dict[str, Builder] = {name: partial(plain, name) for name in ARGUMENTS}
BUILDERS: dict[str, Builder] = dict(sorted({**SIMPLE, **COMPOSED}.items()))

SKIPPED: dict[str, str] = {
    "Backbone": "the base class",
    "ESM2Backbone": "another name of ESMBackbone",
    "FeaturePyramidBackbone": "a base class",
    "Qwen2Backbone": "another name of QwenBackbone",
    "SmolLMBackbone": "another name of SmolLM3Backbone",
}

# The unknown sizes of inputs that are no text: one image or recording a prompt.
GEMMA4_MEDIA: dict[str, tuple[int, ...]] = {
    "audio_indices": (len(AUDIO_POSITIONS),),
    "audio_mel": (1, AUDIO_FRAMES),
    "audio_mel_mask": (1, AUDIO_FRAMES),
    "pixel_position_ids": (1, PATCHES),
    "pixel_values": (1, PATCHES, 3 * PATCH**2),
    "vision_indices": (len(IMAGE_POSITIONS),),
}
GEMMA3_MEDIA: dict[str, tuple[int, ...]] = {
    "images": (1,),
    "input_features": (1, AUDIO_FRAMES),
    "input_features_mask": (1, AUDIO_FRAMES),
    "vision_indices": (len(IMAGE_POSITIONS),),
}
UNKNOWN_SIZES: dict[str, dict[str, tuple[int, ...]]] = {
    "Gemma3Backbone": GEMMA3_MEDIA,
    "Gemma3VisionEncoder": GEMMA3_MEDIA,
    "Gemma3nBackbone": GEMMA3_MEDIA,
    "Gemma4Backbone": GEMMA4_MEDIA,
    "Gemma4VisionEncoder": GEMMA4_MEDIA,
    "MoonshineBackbone": {
        "encoder_input_values": (4096,),
        "encoder_padding_mask": (4096,),
    },
    "SAMBackbone": {"masks": (1, IMAGE_SIZE // PATCH * 4, IMAGE_SIZE // PATCH * 4)},
    # Alone among the texts, these must be as long as they may be.
    "SigLIPBackbone": {"token_ids": (MAX_LENGTH,)},
    "SigLIPTextEncoder": {"token_ids": (MAX_LENGTH,)},
    "T5Gemma2Backbone": GEMMA3_MEDIA,
}


def input_values(
    name: str, shape: tuple[int, ...], dtype: str, rng: np.random.Generator
) -> np.ndarray:
    """What an input called `name` may hold."""
    values: np.ndarray
    match name:
        case "vision_indices":
            values = np.broadcast_to(IMAGE_POSITIONS, shape)
        case "audio_indices":
            values = np.broadcast_to(AUDIO_POSITIONS, shape)
        case "vision_mask":
            values = np.broadcast_to(
                np.isin(np.arange(shape[-1]), IMAGE_POSITIONS), shape
            )
        case "audio_mask":
            values = np.broadcast_to(
                np.isin(np.arange(shape[-1]), AUDIO_POSITIONS), shape
            )
        case "position_ids":
            values = np.broadcast_to(np.arange(shape[-1]), shape)
        case "pixel_position_ids":
            side = IMAGE_SIZE // PATCH
            values = np.broadcast_to(np.indices((side, side)).reshape(2, -1).T, shape)
        case "segment_ids":
            values = np.broadcast_to(np.arange(shape[-1]) >= shape[-1] // 2, shape)
        case "labels" | "box_labels":
            values = rng.integers(0, 2, shape)
        case _ if name.endswith("mask"):
            values = np.ones(shape)
            values[-1, ..., shape[-1] - shape[-1] // 4 :] = 0
            # Alone among the masks, Gemma3n's marks the padding.
            if name == "input_features_mask":
                values = 1 - values
        case _ if dtype.startswith("int"):
            values = rng.integers(1, IMAGE_TOKEN, shape)
        case _:
            values = rng.random(shape)
    return values.astype(dtype)


def example(model: keras.Model, batch: int = 2, length: int = 12) -> Any:
    """Inputs of the structure of `model.input`, the same at every call.

    Unknown sizes become `length`, of at most `MAX_LENGTH`, but for images and
    recordings, whose tokens want a `length` of at least 10. The last example ends
    in padding.
    """
    rng = np.random.default_rng(0)
    unknown = UNKNOWN_SIZES.get(type(model).__name__, {})
    if isinstance(model, keras_hub.models.SAM3PromptableConceptBackbone):
        # Its geometry encoder uses a mask of examples by prompts, the boxes and one
        # more, as one of prompts by prompts.
        boxes = max(1, batch - 1)
        unknown = {"boxes": (boxes,), "box_labels": (boxes,)}

    def values(tensor: keras.KerasTensor) -> np.ndarray:
        sizes = [*unknown.get(tensor.name, ())]
        shape = [batch, *tensor.shape[1:]]
        for axis, size in enumerate(shape):
            if size is None:
                shape[axis] = sizes.pop(0) if sizes else length
        array = input_values(tensor.name, tuple(shape), tensor.dtype, rng)
        if tensor.name == "token_ids" and hasattr(model, "image_token_id"):
            array[:, IMAGE_POSITIONS] = IMAGE_TOKEN
            array[:, AUDIO_POSITIONS] = AUDIO_TOKEN
        if tensor.name == "boxes" and tensor.shape[-1] == 5:
            # Of SAM3: the first column says whose box it is.
            array[..., 0] = np.arange(batch)[:, None]
        return array

    return keras.tree.map_structure(values, model.input)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=BUILDERS, metavar="NAME")
    for name in parser.parse_args().only or BUILDERS:
        start = time.perf_counter()
        try:
            model = BUILDERS[name]()
            model(example(model))
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            continue
        seconds = time.perf_counter() - start
        print(f"{name:32}{model.count_params():>9}{seconds:7.1f} s", flush=True)


if __name__ == "__main__":
    main()
