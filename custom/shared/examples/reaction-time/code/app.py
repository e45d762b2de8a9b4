"""Flanker effect of 20 participants: from raw trials to a table and a figure."""

import csv
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

INPUT, OUTPUT = Path("/input"), Path("/output")
protocol = json.loads((INPUT / "protocol.json").read_text())
conditions = protocol["conditions"]
exclusion = protocol["exclusion"]
latency = dict(zip(protocol["stations"], np.load(INPUT / "display_latency.npy").mean(axis=1), strict=True))
with (INPUT / "participants.tsv").open(newline="") as file:
    participants = list(csv.DictReader(file, delimiter="\t"))

print(f"{len(participants)} participants, display latency {', '.join(f'{k}: {v:.1f} ms' for k, v in latency.items())}")
means = np.full((len(participants), len(conditions)), np.nan)
summary, dropped = [], 0
for number, person in enumerate(participants, 1):
    with (INPUT / "trials" / f"{person['participant']}.csv").open(newline="") as file:
        trials = [trial for trial in csv.DictReader(file) if trial["rt_ms"]]
    rt = np.array([float(trial["rt_ms"]) for trial in trials]) - latency[person["station"]]
    correct = np.array([trial["correct"] == "1" for trial in trials])
    condition = np.array([trial["condition"] for trial in trials])
    for column, name in enumerate(conditions):
        chosen = (condition == name) & correct & (rt > exclusion["fastest_ms"])
        chosen &= rt < rt[chosen].mean() + exclusion["slowest_sd"] * rt[chosen].std()
        dropped += int(((condition == name) & ~chosen).sum())
        means[number - 1, column] = rt[chosen].mean()
        summary.append((person["participant"], name, int(chosen.sum()), round(rt[chosen].mean(), 1),
                        round(float(np.median(rt[chosen])), 1), round(correct[condition == name].mean(), 3)))
    print(f"{person['participant']}: " + "  ".join(f"{c} {m:.0f} ms" for c, m in zip(conditions, means[number - 1])))
    print(f"labbox:progress {number}/{len(participants) + 2}")

effect = means[:, conditions.index("incongruent")] - means[:, conditions.index("congruent")]
test = stats.ttest_1samp(effect, 0)
interval = test.confidence_interval(0.95)
cohen = effect.mean() / effect.std(ddof=1)
with (OUTPUT / "summary.csv").open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["participant", "condition", "trials", "mean_ms", "median_ms", "accuracy"])
    writer.writerows(summary)
with (OUTPUT / "effects.csv").open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["effect", "mean_ms", "ci95_low_ms", "ci95_high_ms", "t", "df", "p", "cohen_d"])
    writer.writerow(["incongruent - congruent", round(effect.mean(), 1), round(interval.low, 1), round(interval.high, 1),
                     round(float(test.statistic), 2), int(test.df), f"{test.pvalue:.2g}", round(cohen, 2)])
print(f"labbox:progress {len(participants) + 1}/{len(participants) + 2}")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), width_ratios=[3, 2], layout="constrained")
left.plot(range(len(conditions)), means.T, color="#9fb8c8", linewidth=0.8)
left.errorbar(range(len(conditions)), means.mean(axis=0), yerr=1.96 * stats.sem(means, axis=0), color="#c0392b",
              marker="o", linewidth=2, capsize=4)
left.set_xticks(range(len(conditions)), conditions)
left.set_ylabel("reaction time (ms)")
left.set_title("each line one participant")
right.hist(effect, bins=8, color="#2c7fb8", edgecolor="white")
right.axvline(0, color="black", linewidth=0.8)
right.set_xlabel("flanker effect (ms)")
right.set_title(f"{effect.mean():.0f} ms, d = {cohen:.1f}")
figure.savefig(OUTPUT / "figure.png", dpi=120)
print(f"labbox:progress {len(participants) + 2}/{len(participants) + 2}")
print(f"flanker effect {effect.mean():.1f} ms, 95 % CI [{interval.low:.1f}, {interval.high:.1f}], "
      f"t({int(test.df)}) = {test.statistic:.2f}, p = {test.pvalue:.2g}; {dropped} trials dropped")
