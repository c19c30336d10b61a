"""An evaluation: pictures, a table of predictions, histograms, charts, a page and sound, beside numbers."""

import io

import numpy as np
import wandb

rng = np.random.default_rng(0)
with wandb.init(project="vision", name="eval", config={"classes": ["cat", "dog"]}, job_type="eval") as run:
    classes = run.config["classes"]
    table = wandb.Table(columns=["id", "image", "guess", "truth"])
    for index in range(4):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = wandb.Image(pixels, caption=f"{index}: {classes[index % 2]}")
        print(table.add_data(index, image, classes[index % 2], classes[0]))
    table.add_column("score", [0.1, 0.2, 0.3, 0.4])
    print(table.columns, [row[2:] for row in table.data], table.get_column("guess"), len(table.data))
    scores = rng.random(100)
    histogram = wandb.Histogram(scores, num_bins=8)
    other = wandb.Histogram(np_histogram=np.histogram(scores, bins=4))
    print(histogram.histogram, [round(edge, 9) for edge in histogram.bins], other.histogram)
    print(
        run.log(
            {
                "val": {"acc": 0.5, "image": wandb.Image(pixels)},
                "images": [wandb.Image(pixels, caption=str(index)) for index in range(3)],
                "grey": wandb.Image(pixels[:, :, 0], file_type="png"),
                "scores": histogram,
                "table": table,
                "html": wandb.Html("<b>done</b>", inject=False),
                "video": wandb.Video(io.BytesIO(b"GIF89a"), format="gif"),
            },
            step=3,
        )
    )
    data = [[x, x * x] for x in range(5)]
    chart = wandb.plot.line(wandb.Table(data=data, columns=["x", "y"]), "x", "y", title="squares")
    matrix = wandb.plot.confusion_matrix(y_true=[0, 1, 1], preds=[0, 1, 0], class_names=classes)
    run.log({"chart": chart, "matrix": matrix, "val/loss": 0.25})
    print(chart.table.data, [(*row[:2], float(row[2])) for row in matrix.table.data], run.step)
    for wrong in (lambda: wandb.Table(columns=["a"], data=[[1, 2]]), lambda: wandb.Image("/no/such.png")):
        try:
            wrong()
        except (ValueError, OSError) as problem:
            print(type(problem).__name__)
    for wrong in (lambda: wandb.Histogram(np_histogram=([1], [1])), lambda: wandb.Image(np.zeros((2, 2, 7)))):
        try:
            wrong()
        except ValueError as problem:
            print(problem.args[0].split("[")[0])
    try:
        wandb.Video(io.BytesIO(b""), format="avi")
    except ValueError as problem:
        print(problem)
print(wandb.run)
