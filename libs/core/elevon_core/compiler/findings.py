"""What the compiler objects to: the codes of the protocol, and the collector that lets a compilation go on."""

from __future__ import annotations

import enum

from elevon_core.errors import CompilationError, Finding


class Code(enum.StrEnum):
    """The kinds of findings the compiler has, spelled as existing clients know them."""

    CYCLE_DETECTED = "CycleDetected"
    BRANCH_NODE_ID_NOT_FOUND = "BranchNodeIdNotFound"
    BRANCH_NODE_HAS_NO_CONDITION = "BranchNodeHasNoCondition"
    BRANCH_NODE_HAS_NO_DEFAULT = "BranchNodeHasNoDefault"
    VALUE_REQUIRED = "ValueRequired"
    INVALID_VALUE = "InvalidValue"
    NODE_REFERENCE_NOT_FOUND = "NodeReferenceNotFound"
    TASK_REFERENCE_NOT_FOUND = "TaskReferenceNotFound"
    WORKFLOW_REFERENCE_NOT_FOUND = "WorkflowReferenceNotFound"
    VARIABLE_NAME_NOT_FOUND = "VariableNameNotFound"
    DUPLICATE_ALIAS = "DuplicateAlias"
    DUPLICATE_ID = "DuplicateId"
    MISMATCHING_TYPES = "MismatchingTypes"
    MISMATCHING_BINDINGS = "MismatchingBindings"
    PARAMETER_BOUND_MORE_THAN_ONCE = "ParameterBoundMoreThanOnce"
    PARAMETER_NOT_BOUND = "ParameterNotBound"
    UNREACHABLE_NODES = "UnreachableNodes"
    UNRECOGNIZED_VALUE = "UnrecognizedValue"
    SYNTAX_ERROR = "SyntaxError"
    NO_NODES_FOUND = "NoNodesFound"
    ILLEGAL_ENUM_VALUE = "IllegalEnumValue"
    AMBIGUOUS_BINDING_UNION_VALUE = "AmbiguousBindingUnionValue"
    INCOMPATIBLE_BINDING_UNION_VALUE = "IncompatibleBindingUnionValue"
    NO_CONDITION_FOUND = "NoConditionFound"
    FIELD_NOT_FOUND = "FieldNotFound"


class Findings:
    """Collects findings; `within` gives a collector that writes into the same list and names a place."""

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._place = ""

    def __len__(self) -> int:
        return len(self._found)

    def add(self, code: Code, node_id: str, description: str) -> None:
        """Notes one finding; compilation goes on as far as the rest can be judged."""
        self._found.append(Finding(code.value, self._place + description, node_id))

    def require(self, node_id: str, field: str) -> None:
        """Notes that a field which must be set is not."""
        self.add(Code.VALUE_REQUIRED, node_id, f"value required [{field}]")

    def within(self, place: str) -> Findings:
        """A collector for one place, such as a sub-workflow; its descriptions begin with the place."""
        inner = Findings()
        inner._found = self._found
        inner._place = f"{place}: "
        return inner

    def raise_if_any(self, prefix: str = "") -> None:
        """Ends a compilation that found something: CompilationError with everything found."""
        if self._found:
            raise CompilationError(self._found, prefix=prefix)
