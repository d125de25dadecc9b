"""What reading tables takes from pyarrow. A service that is packed into a folder has `lean` here, and 170 MB less."""

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

__all__ = ["arrow_csv", "pa", "pc"]
