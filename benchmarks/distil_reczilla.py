"""The shipped prior, made again from RecZilla's table: `platform/recsmith/search/reczilla.csv`.

    python benchmarks/distil_reczilla.py PATH/performance_meta_dataset.csv.gz

The table is `notebooks/performance_meta_dataset.csv` of the repository that the header names, gzipped. Kept are, for
every data set and every algorithm that a model of ours is, the best NDCG@10, the median seconds of training and how
many configurations were tried.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pandas as pd

from recsmith.search.prior import FILE

HEADER = """\
# How recommender algorithms did on 21 data sets: the best NDCG@10 on the test split of up to 600 configurations.
# Distilled from notebooks/performance_meta_dataset.csv of the repository naszilla/reczilla at commit efacb97, of 2023,
# Apache License 2.0 (https://www.apache.org/licenses/LICENSE-2.0), changed: 5 of 666 columns, 11 of 20 algorithms.
# McElfresh et al., On the Generalizability and Predictability of Recommender Systems, NeurIPS 2022, arXiv 2206.11886.
"""
MODELS = {
    "TopPop": "popularity",
    "ItemKNN": "item_knn",
    "UserKNN": "user_knn",
    "P3alphaRecommender": "p3alpha",
    "RP3betaRecommender": "rp3beta",
    "SLIMElasticNetRecommender": "slim",
    "EASE_R_Recommender": "ease",
    "PureSVDRecommender": "pure_svd",
    "IALSRecommender": "ials",
    "MatrixFactorization_BPR_Cython": "bpr_mf",
    "Mult_VAE_RecommenderWrapper": "mult_vae",
}


def main() -> None:
    """Read, keep, write."""
    table = pd.read_csv(sys.argv[1])
    table = table[table["alg_name"].isin(MODELS)].sort_values(["dataset_name", "alg_name"])
    with Path(FILE).open("w", encoding="utf-8", newline="") as file:
        file.write(HEADER)
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("data_set", "model", "ndcg@10", "seconds", "configurations"))
        for row in table.to_dict("records"):
            best, seconds = row["max_test_metric_NDCG_cut_10"], row["median_time_on_train"]
            name = row["dataset_name"].removesuffix("Reader")
            rows.writerow((name, MODELS[row["alg_name"]], f"{best:.5f}", f"{seconds:.1f}", row["num_samples"]))


if __name__ == "__main__":
    main()
