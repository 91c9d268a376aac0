from .events import Finished as Finished
from .events import Measured as Measured
from .events import Saved as Saved
from .events import Scored as Scored
from .events import Skipped as Skipped
from .events import Started as Started
from .events import StepDone as StepDone
from .events import TrainingEvent as TrainingEvent
