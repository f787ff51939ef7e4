"""Time of predictions."""

from .common import Training


class Predict(Training):
    """`model.predict` of one row and of all."""

    params = (["tiny", "digits", "mnist-mlp", "surrogate"], [1])

    def setup(self, workload: str, threads: int) -> None:
        super().setup(workload, threads)
        self.model = self.trainer.model
        self.row = self.X[:1]
        self.model.predict(self.row)
        self.model.predict(self.X)

    def time_one_row(self, workload: str, threads: int) -> None:
        self.model.predict(self.row)

    def time_all_rows(self, workload: str, threads: int) -> None:
        self.model.predict(self.X)
