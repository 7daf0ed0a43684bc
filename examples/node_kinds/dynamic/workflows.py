"""Dynamic tasks: a task that decides, when it runs, which nodes follow."""

from flytekit import dynamic, task, workflow


@task
def merge(left: list[int], right: list[int]) -> list[int]:
    return sorted(left + right)


@dynamic
def merge_sort(values: list[int]) -> list[int]:
    """Dynamic tasks may yield dynamic tasks."""
    if len(values) <= 2:
        return sorted(values)
    middle = len(values) // 2
    return merge(left=merge_sort(values=values[:middle]), right=merge_sort(values=values[middle:]))


@workflow
def sort(values: list[int]) -> list[int]:
    return merge_sort(values=values)
