"""Public names, for type checkers and editors, which see nothing of what is loaded when it is used."""

from numbanet import classic as classic
from numbanet import datasets as datasets
from numbanet import export as export
from numbanet import models as models
from numbanet import plot as plot
from numbanet import sklearn as sklearn
from numbanet import testing as testing
from numbanet.builtins import (
    L1 as L1,
)  # fmt: skip
from numbanet.builtins import (
    L2 as L2,
)
from numbanet.builtins import (
    SGD as SGD,
)
from numbanet.builtins import (
    Adadelta as Adadelta,
)
from numbanet.builtins import (
    Adagrad as Adagrad,
)
from numbanet.builtins import (
    Adam as Adam,
)
from numbanet.builtins import (
    AdamW as AdamW,
)
from numbanet.builtins import (
    AMSGrad as AMSGrad,
)
from numbanet.builtins import (
    BoldDriver as BoldDriver,
)
from numbanet.builtins import (
    Constant as Constant,
)
from numbanet.builtins import (
    ConstantSchedule as ConstantSchedule,
)
from numbanet.builtins import (
    CosineDecay as CosineDecay,
)
from numbanet.builtins import (
    ElasticNet as ElasticNet,
)
from numbanet.builtins import (
    ExponentialDecay as ExponentialDecay,
)
from numbanet.builtins import (
    InverseTimeDecay as InverseTimeDecay,
)
from numbanet.builtins import (
    Lion as Lion,
)
from numbanet.builtins import (
    MaxNorm as MaxNorm,
)
from numbanet.builtins import (
    Nadam as Nadam,
)
from numbanet.builtins import (
    OneCycle as OneCycle,
)
from numbanet.builtins import (
    Orthogonal as Orthogonal,
)
from numbanet.builtins import (
    PolynomialDecay as PolynomialDecay,
)
from numbanet.builtins import (
    RandomNormal as RandomNormal,
)
from numbanet.builtins import (
    RandomUniform as RandomUniform,
)
from numbanet.builtins import (
    RMSprop as RMSprop,
)
from numbanet.builtins import (
    Rprop as Rprop,
)
from numbanet.builtins import (
    StepDecay as StepDecay,
)
from numbanet.builtins import (
    TruncatedNormal as TruncatedNormal,
)
from numbanet.callbacks import (
    Callback as Callback,
)  # fmt: skip
from numbanet.callbacks import (
    EarlyStopping as EarlyStopping,
)
from numbanet.callbacks import (
    LambdaCallback as LambdaCallback,
)
from numbanet.callbacks import (
    ModelCheckpoint as ModelCheckpoint,
)
from numbanet.callbacks import (
    ReduceLROnPlateau as ReduceLROnPlateau,
)
from numbanet.checkpoint import Checkpoint as Checkpoint
from numbanet.device import CUDA as CUDA
from numbanet.device import devices as devices
from numbanet.ensemble import Ensemble as Ensemble
from numbanet.history import History as History
from numbanet.hookspecs import hookimpl as hookimpl
from numbanet.layers import (
    Apply as Apply,
)  # fmt: skip
from numbanet.layers import (
    AvgPool1D as AvgPool1D,
)
from numbanet.layers import (
    AvgPool2D as AvgPool2D,
)
from numbanet.layers import (
    BatchNorm as BatchNorm,
)
from numbanet.layers import (
    Conv1D as Conv1D,
)
from numbanet.layers import (
    Conv2D as Conv2D,
)
from numbanet.layers import (
    Dense as Dense,
)
from numbanet.layers import (
    Dropout as Dropout,
)
from numbanet.layers import (
    Embedding as Embedding,
)
from numbanet.layers import (
    Flatten as Flatten,
)
from numbanet.layers import (
    GaussianNoise as GaussianNoise,
)
from numbanet.layers import (
    GlobalAvgPool as GlobalAvgPool,
)
from numbanet.layers import (
    GlobalMaxPool as GlobalMaxPool,
)
from numbanet.layers import (
    Layer as Layer,
)
from numbanet.layers import (
    LayerNorm as LayerNorm,
)
from numbanet.layers import (
    MaxPool1D as MaxPool1D,
)
from numbanet.layers import (
    MaxPool2D as MaxPool2D,
)
from numbanet.layers import (
    Reshape as Reshape,
)
from numbanet.layers import (
    Residual as Residual,
)
from numbanet.layers import (
    SpatialDropout as SpatialDropout,
)
from numbanet.many import fit_many as fit_many
from numbanet.model import Sequential as Sequential
from numbanet.named import (
    activation as activation,
)  # fmt: skip
from numbanet.named import (
    initializer as initializer,
)
from numbanet.named import (
    loss as loss,
)
from numbanet.named import (
    metric as metric,
)
from numbanet.named import (
    optimizer as optimizer,
)
from numbanet.named import (
    regularizer as regularizer,
)
from numbanet.named import (
    schedule as schedule,
)
from numbanet.progress import CSVLogger as CSVLogger
from numbanet.progress import ProgressBar as ProgressBar
from numbanet.scaling import Scaling as Scaling
from numbanet.search import WeightDecayCV as WeightDecayCV
from numbanet.search import select_weight_decay as select_weight_decay
from numbanet.spec import (
    Activation as Activation,
)  # fmt: skip
from numbanet.spec import (
    Initializer as Initializer,
)
from numbanet.spec import (
    Loss as Loss,
)
from numbanet.spec import (
    Metric as Metric,
)
from numbanet.spec import (
    Optimizer as Optimizer,
)
from numbanet.spec import (
    Regularizer as Regularizer,
)
from numbanet.spec import (
    Schedule as Schedule,
)
from numbanet.starts import MultiStart as MultiStart
from numbanet.starts import multi_start as multi_start
from numbanet.store import FormatError as FormatError
from numbanet.store import load as load
from numbanet.tensorboard import TensorBoard as TensorBoard
from numbanet.trainer import Trainer as Trainer

__version__: str
