"""Stimuli and reference data: ``load_*`` never touches the network, ``fetch_*`` may."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "bars": ["BarConfig", "BarScenes"],
        "catch": ["Catch"],
        "coco": ["load_coco_pairs", "split_of"],
        "coco_fetch": ["fetch_coco"],
        "coco_pairs": ["ObjectPairs", "PairsReport"],
        "coco_scenes": ["CocoScenes", "PhotographScenes"],
        "digit_pairs": ["DigitPairs", "PairConfig"],
        "digit_scenes": ["DigitScenes", "SceneConfig"],
        "digits": ["Digits", "load_mnist", "official_indices_of_bundled"],
        "fetch": ["check", "fetch_mnist", "get"],
        "gaze": [
            "eyecrowd_stimulus_paths",
            "fetch_osie",
            "load_eyecrowd",
            "load_eyecrowd_faces",
            "load_osie",
            "osie_stimulus_paths",
        ],
        "images": ["load_images", "read_image", "read_images", "resize_and_crop"],
        "noisy_scenes": ["NoisyDigits", "NoisyDigitsConfig", "noisy_digits"],
        "noisy_stimuli": ["DistantDigits", "NoisyScenes"],
        "offset_scenes": ["noisy_scene", "plain_scene"],
        "places": ["clear", "data_home", "dataset_info", "list_datasets", "where"],
        "published": ["load_published"],
        "ram_scenes": ["ClutterConfig", "ClutteredScenes"],
        "registry": ["get_dataset"],
        "stimuli": ["ObjectScenes", "Stimuli"],
    },
)
