"""Kubernetes manifests, as Kubernetes' own schemas and Helm's own library see them.

    manifests.py documents            YAML on standard input -> a JSON list of its documents
    manifests.py validate VERSION CRD what is wrong with the documents of standard input, a line each
    manifests.py lint CHART           what Helm finds, as JSON; values as JSON on standard input
    manifests.py render CHART         the chart with the values of standard input, as YAML
"""

import json
import sys

import yaml


def documents():
    return [document for document in yaml.safe_load_all(sys.stdin) if document is not None]


def strict(schema):
    """A schema that refuses what it does not know, as an API server with strict fields does."""
    if isinstance(schema, dict):
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            strict(value)
    elif isinstance(schema, list):
        for value in schema:
            strict(value)
    return schema


def of_definition(crd, document):
    """Problems by the schema in a CustomResourceDefinition."""
    import jsonschema

    version = document["apiVersion"].split("/")[1]
    (schema,) = [v["schema"]["openAPIV3Schema"] for v in crd["spec"]["versions"] if v["name"] == version]
    schema = strict(schema)
    schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
        yield f"{'.'.join(map(str, error.path))}: {error.message}"


def validate(version, definition):
    import kubernetes_validate

    crd = yaml.safe_load(open(definition, encoding="utf-8"))
    own = (f"{crd['spec']['group']}/", crd["spec"]["names"]["kind"])
    seen = 0
    for document in documents():
        seen += 1
        name = f"{document.get('kind')}/{document.get('metadata', {}).get('name')}"
        if str(document.get("apiVersion")).startswith(own[0]) and document.get("kind") == own[1]:
            for problem in of_definition(crd, document):
                print(f"{name}: {problem}")
            continue
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            print(f"{name}: {'.'.join(map(str, error.path))}: {error.message}")
        except Exception as error:  # no schema: nothing was checked
            print(f"{name}: {error!r}")
    if not seen:
        print("no documents")


def main(command, *arguments):
    if command == "documents":
        json.dump(documents(), sys.stdout)
    elif command == "validate":
        validate(*arguments)
    elif command == "lint":
        import helm_python

        json.dump(helm_python.lint(arguments[0], values=json.load(sys.stdin), strict=True), sys.stdout)
    elif command == "render":
        import helm_python

        with helm_python.Chart.load(arguments[0]) as chart:
            rendered = chart.render(values=json.load(sys.stdin), name="demo", namespace="keyward")
        for name, text in sorted(rendered.items()):
            if name.endswith(".yaml"):
                print(f"---\n# {name}\n{text}")
    else:
        sys.exit(f"no command {command}")


main(*sys.argv[1:])
