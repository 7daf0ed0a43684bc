"""All kinds of nodes that can be run, registered by importing this module."""

from __future__ import annotations

from elevon_propeller.engine.nodes import registry
from elevon_propeller.engine.nodes.array import ArrayNode
from elevon_propeller.engine.nodes.branch import BranchNode
from elevon_propeller.engine.nodes.edges import EndNode, StartNode
from elevon_propeller.engine.nodes.gate import GateNode
from elevon_propeller.engine.nodes.launch_plan import LaunchPlanNode
from elevon_propeller.engine.nodes.task import TaskNode
from elevon_propeller.engine.nodes.workflow import SubWorkflowNode

SUPPORTED = frozenset({"array", "start", "end", "task", "workflow", "branch", "gate", "launch_plan"})

registry.register("start", StartNode())
registry.register("end", EndNode())
registry.register("task", TaskNode())
registry.register("workflow", SubWorkflowNode())
registry.register("branch", BranchNode())
registry.register("gate", GateNode())
registry.register("launch_plan", LaunchPlanNode())
registry.register("array", ArrayNode())
