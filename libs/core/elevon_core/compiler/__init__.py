"""The compiler: checks tasks and workflows, and turns a workflow template into the graph that the engine executes.

It knows nothing but its arguments: who calls it loads what `requirements` names, and hands it over. The same rules hold
at registration and for the workflow that a dynamic task yields. Arguments are never changed, and equal arguments give
equal results, byte for byte when serialized deterministically.
"""

from elevon_core.compiler.library import LaunchPlanInterface as LaunchPlanInterface
from elevon_core.compiler.requirements import Requirements as Requirements
from elevon_core.compiler.requirements import requirements as requirements
from elevon_core.compiler.task import compile_task as compile_task
from elevon_core.compiler.workflow import compile_workflow as compile_workflow
