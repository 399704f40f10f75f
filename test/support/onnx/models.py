"""Makes the ONNX files beside it: `Rscript models.R | python3 models.py`, with Debian's python3-onnx."""
import json
import os
import sys

import numpy as np
from onnx import TensorProto as T, ValueInfoProto, checker, helper as h, save

HERE = os.path.dirname(os.path.abspath(__file__))
COEFFICIENTS = json.load(sys.stdin)
OPSETS = [h.make_opsetid("", 13), h.make_opsetid("ai.onnx.ml", 2)]
ROWS = "rows"


def value(name, of, *dims):
    return h.make_tensor_value_info(name, of, dims)


def constant(name, of, dims, values):
    return h.make_tensor(name, of, dims, values)


def write(name, nodes, inputs, outputs, constants=(), metadata=None):
    graph = h.make_graph(nodes, name, inputs, outputs, list(constants))
    model = h.make_model(graph, producer_name="models.py", opset_imports=OPSETS)
    model.ir_version = 7
    for key, text in (metadata or {}).items():
        model.metadata_props.add(key=key, value=text)
    if name != "endless":  # the checker knows no loop without shapes
        checker.check_model(model)
    save(model, os.path.join(HERE, f"{name}.onnx"))


def fuel():
    """A matrix whose columns have names, in doubles."""
    of = COEFFICIENTS["fuel"]
    write(
        "fuel",
        [h.make_node("MatMul", ["cars", "w"], ["z"]), h.make_node("Add", ["z", "b"], ["mpg"])],
        [value("cars", T.DOUBLE, ROWS, 2)],
        [value("mpg", T.DOUBLE, ROWS, 1)],
        [constant("w", T.DOUBLE, [2, 1], [of["wt"], of["hp"]]), constant("b", T.DOUBLE, [1], [of["(Intercept)"]])],
        {"feature_names": '["wt", "hp"]'},
    )


def chicks():
    """A column of text among others."""
    of = COEFFICIENTS["chicks"]
    diets = ["1", "2", "3", "4"]
    bases = [0.0] + [of[f"Diet{d}"] for d in diets[1:]]
    slopes = [0.0] + [of[f"Time:Diet{d}"] for d in diets[1:]]
    write(
        "chicks",
        [
            h.make_node("OneHotEncoder", ["Diet"], ["hot3"], domain="ai.onnx.ml", cats_strings=diets, zeros=0),
            h.make_node("Reshape", ["hot3", "shape"], ["hot"]),
            h.make_node("MatMul", ["hot", "bases"], ["base"]),
            h.make_node("MatMul", ["hot", "slopes"], ["slope"]),
            h.make_node("Add", ["slope", "time"], ["grams"]),
            h.make_node("Mul", ["grams", "Time"], ["gained"]),
            h.make_node("Add", ["base", "gained"], ["sum"]),
            h.make_node("Add", ["sum", "b"], ["weight"]),
        ],
        [value("Time", T.FLOAT, ROWS, 1), value("Diet", T.STRING, ROWS, 1)],
        [value("weight", T.FLOAT, ROWS, 1)],
        [
            constant("shape", T.INT64, [2], [-1, 4]),
            constant("bases", T.FLOAT, [4, 1], bases),
            constant("slopes", T.FLOAT, [4, 1], slopes),
            constant("time", T.FLOAT, [1], [of["Time"]]),
            constant("b", T.FLOAT, [1], [of["(Intercept)"]]),
        ],
    )


def forest():
    """Trees, and an input for each column."""
    trees = COEFFICIENTS["forest"]
    nodes = {key: [] for key in ["treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids"]}
    target = {key: [] for key in ["treeids", "nodeids", "ids", "weights"]}
    for k, tree in enumerate(trees):
        for i, (left, right, feature, split, status, prediction) in enumerate(tree):
            is_leaf = status == -1
            nodes["treeids"].append(k)
            nodes["nodeids"].append(i)
            nodes["featureids"].append(0 if is_leaf else int(feature) - 1)
            nodes["values"].append(0.0 if is_leaf else split)
            nodes["modes"].append("LEAF" if is_leaf else "BRANCH_LEQ")
            nodes["truenodeids"].append(0 if is_leaf else int(left) - 1)
            nodes["falsenodeids"].append(0 if is_leaf else int(right) - 1)
            if is_leaf:
                target["treeids"].append(k)
                target["nodeids"].append(i)
                target["ids"].append(0)
                target["weights"].append(prediction)
    attributes = {f"nodes_{key}": of for key, of in nodes.items()} | {f"target_{key}": of for key, of in target.items()}
    write(
        "forest",
        [
            h.make_node("Concat", ["wt", "hp"], ["cars"], axis=1),
            h.make_node(
                "TreeEnsembleRegressor", ["cars"], ["mpg"],
                domain="ai.onnx.ml", n_targets=1, aggregate_function="AVERAGE", **attributes,
            ),
        ],
        [value("wt", T.FLOAT, ROWS, 1), value("hp", T.FLOAT, ROWS, 1)],
        [value("mpg", T.FLOAT, ROWS, 1)],
    )


def gear():
    """A classifier as scikit-learn's converter writes it: the class, and a map of probabilities."""
    of = COEFFICIENTS["gear"]
    inner = [of["wt"], of["hp"]]
    probabilities = ValueInfoProto(name="output_probability")
    of_class = probabilities.type.sequence_type.elem_type.map_type
    of_class.key_type = T.STRING
    of_class.value_type.tensor_type.elem_type = T.FLOAT
    write(
        "gear",
        [
            h.make_node(
                "LinearClassifier", ["X"], ["output_label", "probability_tensor"],
                domain="ai.onnx.ml", classlabels_strings=["automatic", "manual"],
                coefficients=[-c for c in inner] + inner, intercepts=[-of["(Intercept)"], of["(Intercept)"]],
                multi_class=0, post_transform="LOGISTIC",
            ),
            h.make_node(
                "ZipMap", ["probability_tensor"], ["output_probability"],
                domain="ai.onnx.ml", classlabels_strings=["automatic", "manual"],
            ),
        ],
        [value("X", T.FLOAT, ROWS, 2)],
        [value("output_label", T.STRING, ROWS), probabilities],
    )


def types():
    """Gives back what it takes, of each type, and an array."""
    kinds = {
        "float16": T.FLOAT16, "float32": T.FLOAT, "float64": T.DOUBLE, "int8": T.INT8, "uint32": T.UINT32,
        "int64": T.INT64, "uint64": T.UINT64, "bool": T.BOOL, "text": T.STRING,
    }
    names = [*kinds, "array"]
    write(
        "types",
        [h.make_node("Identity", [name], [f"{name}_out"]) for name in names],
        [*(value(name, of, ROWS) for name, of in kinds.items()), value("array", T.FLOAT, ROWS, 2, 3)],
        [*(value(f"{name}_out", of, ROWS) for name, of in kinds.items()), value("array_out", T.FLOAT, ROWS, 2, 3)],
    )


def pick():
    """Takes one row at once, and fails for what is not in its list."""
    write(
        "pick",
        [h.make_node("Gather", ["list", "at"], ["picked"])],
        [value("at", T.INT64, 1)],
        [value("picked", T.DOUBLE, 1)],
        [constant("list", T.DOUBLE, [3], [10.0, 20.0, 30.0])],
    )


def endless():
    """Multiplies matrices `times` times: of an endless number it has no end."""
    identity = np.eye(64, dtype=np.float32).flatten().tolist()
    body = h.make_graph(
        [h.make_node("Identity", ["goes_on"], ["goes_on_out"]), h.make_node("MatMul", ["x", "m"], ["x_out"])],
        "body",
        [value("i", T.INT64), value("goes_on", T.BOOL), value("x", T.FLOAT, 64, 64)],
        [value("goes_on_out", T.BOOL), value("x_out", T.FLOAT, 64, 64)],
    )
    write(
        "endless",
        [
            h.make_node("Cast", ["times"], ["whole"], to=T.INT64),
            h.make_node("ReduceMax", ["whole"], ["trips"], keepdims=0),
            h.make_node("Loop", ["trips", "yes", "m"], ["product"], body=body),
            h.make_node("ReduceSum", ["product"], ["sum"], keepdims=0),
            h.make_node("Mul", ["sum", "none"], ["zero"]),
            h.make_node("Cast", ["zero"], ["zeros"], to=T.DOUBLE),
            h.make_node("Add", ["times", "zeros"], ["done"]),
        ],
        [value("times", T.DOUBLE, ROWS)],
        [value("done", T.DOUBLE, ROWS)],
        [
            constant("yes", T.BOOL, [], [True]),
            constant("none", T.FLOAT, [], [0.0]),
            constant("m", T.FLOAT, [64, 64], identity),
        ],
    )


for make in (fuel, chicks, forest, gear, types, pick, endless):
    make()
