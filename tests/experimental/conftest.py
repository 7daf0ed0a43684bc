"""The place where the process plugin's tests run."""

from tests.flytekit_environment import flytekit_python as flytekit_python
from tests.integration.propeller_plugins.conftest import place as place
