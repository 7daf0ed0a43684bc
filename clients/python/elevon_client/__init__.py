"""A thin asynchronous client: the generated stubs on one channel, and what every caller would write around them.

async with Client("localhost:30080") as client:
    execution = await client.wait(execution_id)
"""

from elevon_client.client import Client as Client
from elevon_client.client import ExecutionTimeout as ExecutionTimeout
from elevon_client.client import is_terminal as is_terminal
