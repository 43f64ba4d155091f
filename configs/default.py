"""All settings of a training, with the paper's values (sections 3.6 and 4).

Every other config changes a few of these. Any setting can be given on the command line, as in
`--config.batch_size=24`; a name that is not here is an error.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    """The paper's recipe, without data to train on."""
    config = ConfigDict()

    # The architecture. Table 2's R2 has no attention, R1 has neither attention nor calibration.
    config.model = ConfigDict()
    config.model.channels = 32
    config.model.units = 32
    config.model.footprint = 7
    config.model.scales = 4
    config.model.pooling = 4
    config.model.attention = True
    config.model.calibration = True
    # The step of the attention's coordinates is that of pictures of this size; 0 for each its own.
    config.model.position_size = 0

    # How it is computed: "float32" or "bfloat16" activations; "rows" or "patches" attention.
    config.dtype = "float32"
    config.attention_form = "rows"
    # At most so many units of the network share one compiled program: 1 compiles for minutes, 32
    # multiplies twice as much as the dense trunk needs.
    config.units_per_scan = 8
    config.remat = False

    config.seed = 0
    # Weights to begin with instead of random ones: a bundled name, a .safetensors file, an export,
    # a run directory, a checkpoint; of a network with as many units or fewer, otherwise the same.
    # An empty name is an error, not random weights: an unset variable of a shell gives one.
    config.initial_weights = placeholder(str)
    config.loss = "negative_ssim"  # or "mae", "mse" (Table 3), "negative_ssim_and_mae"
    config.batch_size = 12  # over all devices
    # 1000 epochs of 1800 pairs in batches of 12.
    config.train_steps = 150_000
    config.learning_rate = 5e-4
    config.schedule = "piecewise_constant"  # a tenth after 3/5 and 4/5 of the steps; or "cosine"
    config.warmup_steps = 0
    config.clip_norm = placeholder(float)  # of the gradient; none in the paper
    config.ema_decay = 0.0  # of averaged parameters; 0 keeps none, as in the paper

    config.data = ConfigDict()
    # "rain100h", "rain100l" (prepared by tensorflow-datasets from manual_dir), or a folder.
    config.data.pairs = placeholder(str)
    # Pairs that are darker in the rain are refused, as swapped; False takes them, as photographs
    # of one place in rain and without are.
    config.data.additive_rain = True
    # "embedded" (those that come with scikit-image), or a folder; rain is drawn on them.
    config.data.photographs = placeholder(str)
    config.data.synthetic_share = 0.0  # of the examples, from photographs
    config.data.rain_style = "heavy"
    config.data.crop_size = 64  # pixels
    config.data.moved_rain_share = 0.0  # of those, with rain of the pairs instead of drawn rain
    config.data.augment = False  # flips; photographs are also turned, before rain falls on them
    config.data.data_dir = "~/tensorflow_datasets"
    config.data.manual_dir = placeholder(str)  # your download of the data set
    config.data.num_threads = 2

    # What checkpoints are chosen by: named pairs, or some held out of the training data.
    config.validation = ConfigDict()
    config.validation.pairs = placeholder(str)
    config.validation.held_out_count = 50
    config.validation.crop_size = 256  # pixels, from the centre of each picture

    # What eval.py scores on, unless told otherwise: a name as for data.pairs, "rain12", "embedded",
    # or "drawn:FOLDER" for rain drawn on the clean pictures of a folder of pairs.
    config.test_pairs = placeholder(str)

    config.log_every_steps = 100
    config.checkpoint_every_steps = 1000
    return config.lock()  # a misspelt setting is an error, in the configs built on this one too
