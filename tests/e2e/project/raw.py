"""Tasks that are programs of any kind: they read files and write files, or are scripts of a shell."""

from flytekit import ContainerTask, kwtypes, task, workflow
from flytekit.extras.tasks.shell import OutputLocation, ShellTask
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile

IMAGE = "example.org/tools:1"
READ = {
    "json": "import json; found = json.load(open('/var/inputs/inputs.json'))",
    "yaml": "import yaml; found = yaml.safe_load(open('/var/inputs/inputs.yaml'))",
    "proto": """
from flyteidl.core.literals_pb2 import LiteralMap
read = LiteralMap.FromString(open('/var/inputs/inputs.pb', 'rb').read()).literals
found = {'words': [each.scalar.primitive.string_value for each in read['words'].collection.literals],
         'number': read['number'].scalar.primitive.integer}
""",
}


def joins(form: str) -> ContainerTask:
    """A program that reads its inputs in one of the three formats."""
    script = READ[form] + "\nopen('/var/outputs/said', 'w').write('+'.join(found['words']) + str(found['number']))"
    return ContainerTask(
        name=f"raw.joins_{form}",
        image=IMAGE,
        input_data_dir="/var/inputs",
        output_data_dir="/var/outputs",
        inputs=kwtypes(words=list[str], number=int),
        outputs=kwtypes(said=str),
        metadata_format=getattr(ContainerTask.MetadataFormat, form.upper()),
        command=["/usr/local/bin/python3", "-c", script],
    )


joins_json, joins_yaml, joins_proto = joins("json"), joins("yaml"), joins("proto")

shout = ContainerTask(
    name="raw.shout",
    image=IMAGE,
    input_data_dir="/var/inputs",
    output_data_dir="/var/outputs",
    inputs=kwtypes(text=FlyteFile, mark=str),
    outputs=kwtypes(loud=FlyteFile, lines=int, parts=FlyteDirectory, done=bool),
    command=[
        "/bin/sh",
        "-c",
        """set -e
tr a-z A-Z < /var/inputs/text > /var/outputs/loud.txt
printf '%s' '{{.inputs.mark}}' >> /var/outputs/loud.txt
mkdir -p /var/outputs/parts
cp /var/inputs/mark /var/outputs/parts/mark
wc -l < /var/inputs/text > /var/outputs/lines
echo true > /var/outputs/done
""",
    ],
)

complains = ContainerTask(
    name="raw.complains",
    image=IMAGE,
    output_data_dir="/var/outputs",
    outputs=kwtypes(total=int),
    command=["/bin/sh", "-c", "echo 'the scale is broken' > /var/outputs/_ERROR; exit 3"],
)

absent = ContainerTask(
    name="raw.absent", image="example.org/special:7", outputs=kwtypes(total=int), command=["transmogrify", "--all"]
)

sort_words = ShellTask(
    name="raw.sort_words",
    script="tr ' ' '\\n' < {inputs.text} | sort > {outputs.sorted}",
    inputs=kwtypes(text=FlyteFile),
    output_locs=[OutputLocation(var="sorted", var_type=FlyteFile, location="sorted.txt")],
)

broken_script = ShellTask(name="raw.broken_script", script="echo no luck >&2; exit 4")


@task
def written(text: str) -> FlyteFile:
    with open("given.txt", "w") as file:
        file.write(text)
    return FlyteFile("given.txt")


@task
def told(loud: FlyteFile, lines: int, parts: FlyteDirectory, done: bool) -> str:
    with open(loud) as file:
        text = file.read()
    parts.download()
    with open(f"{parts.path}/mark") as file:
        return f"{text}|{file.read()}|{lines}|{done}"


@task
def read(file: FlyteFile) -> str:
    with open(file) as opened:
        return opened.read()


@workflow
def joins_wf(words: list[str], number: int) -> tuple[str, str, str]:
    return (
        joins_json(words=words, number=number),
        joins_yaml(words=words, number=number),
        joins_proto(words=words, number=number),
    )


@workflow
def shout_wf(text: str, mark: str) -> str:
    made = shout(text=written(text=text), mark=mark)
    return told(loud=made.loud, lines=made.lines, parts=made.parts, done=made.done)


@workflow
def complains_wf() -> int:
    return complains()


@workflow
def absent_wf() -> int:
    return absent()


@workflow
def shell_wf(text: str) -> str:
    return read(file=sort_words(text=written(text=text)))


@workflow
def broken_script_wf():
    broken_script()
