"""Values so large that flytekit keeps them in files of their own."""

from flytekit import ContainerTask, kwtypes, map_task, task, workflow

MEBIBYTE = 1024 * 1024


@task
def words(letter: str) -> list[str]:
    return [letter * (4 * MEBIBYTE + number) for number in range(3)]


@task
def length(word: str) -> int:
    return len(word)


@task
def longer(word: str) -> str:
    return word + "!"


@task(cache=True, cache_version="1")
def total(words: list[str]) -> int:
    return sum(map(len, words))


@task
def told(letter: str) -> dict[str, str]:
    return {"short": letter, "long": letter * (11 * MEBIBYTE)}


@task
def text(letter: str) -> str:
    return letter * (11 * MEBIBYTE)


@task
def page(letter: str) -> str:
    return letter * (3 * MEBIBYTE)


counted = ContainerTask(
    name="offloading.counted",
    image="example.org/tools:1",
    input_data_dir="/var/inputs",
    output_data_dir="/var/outputs",
    inputs=kwtypes(text=str),
    outputs=kwtypes(count=int),
    command=["/bin/sh", "-c", "wc -c < /var/inputs/text > /var/outputs/count"],
)


@workflow
def mapped_wf(letter: str) -> tuple[list[int], list[str], int]:
    long_words = words(letter=letter)
    longer_words = map_task(longer)(word=long_words)
    return map_task(length)(word=long_words), longer_words, total(words=longer_words)


@workflow
def cached_wf(letter: str) -> tuple[list[str], int]:
    long_words = words(letter=letter)
    return long_words, total(words=long_words)


@workflow
def part_wf(letter: str) -> tuple[int, int]:
    found = told(letter=letter)
    return length(word=found["short"]), length(word=found["long"])


@workflow
def counted_wf(letter: str) -> int:
    return counted(text=text(letter=letter))


@workflow
def page_wf(letter: str) -> str:
    return page(letter=letter)
