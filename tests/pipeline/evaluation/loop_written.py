"""The metrics as plain loops from their definitions: slow, obvious, and sharing no code with raytad."""

import math
import struct


def tiou(a, b, union_epsilon):
    intersection = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    if intersection == 0:
        return 0.0
    union = (a[1] - a[0]) + (b[1] - b[0]) - intersection
    return intersection / (union + union_epsilon)


def average_precision(outcomes, num_positives):
    """Area under the interpolated precision-recall curve of hits and misses, best score first."""
    if num_positives == 0:
        return 0.0
    recall, precision, hits = [0.0], [0.0], 0
    for rank, outcome in enumerate(outcomes, start=1):
        hits += outcome
        recall.append(hits / num_positives)
        precision.append(hits / rank)
    recall.append(1.0)
    precision.append(0.0)
    for i in reversed(range(len(precision) - 1)):
        precision[i] = max(precision[i], precision[i + 1])
    return sum((recall[i] - recall[i - 1]) * precision[i] for i in range(1, len(recall)))


def class_outcomes(predictions, truths, threshold, union_epsilon):
    """Whether each prediction, best score first, hits. Rows are (video, start, end, ...), of one class."""
    in_video = {}
    for index, truth in enumerate(truths):
        in_video.setdefault(truth[0], []).append(index)
    taken = [False] * len(truths)
    outcomes = []
    for video, start, end, _, _ in sorted(predictions, key=lambda row: -row[4]):
        candidates = [
            (tiou((start, end), truths[index][1:3], union_epsilon), index)
            for index in in_video.get(video, [])
        ]
        hit = False
        for overlap, index in sorted(candidates, key=lambda candidate: -candidate[0]):
            if overlap < threshold:
                break
            if taken[index]:
                continue
            taken[index] = hit = True
            break
        outcomes.append(hit)
    return outcomes


def detection_map(predictions, truths, labels, thresholds, union_epsilon):
    """AP by label and threshold, as a list of lists.

    Predictions are rows (video, start, end, label, score), truths (video, start, end, label), in seconds.
    """
    table = []
    for label in labels:
        mine = [row for row in predictions if row[3] == label]
        true = [row for row in truths if row[3] == label]
        table.append(
            [
                average_precision(class_outcomes(mine, true, threshold, union_epsilon), len(true))
                for threshold in thresholds
            ]
        )
    return table


def average_recall(predictions, truths, thresholds, most):
    """Recall by threshold and AN = 1 ... most, as the ActivityNet toolkit defines the average number AN.

    Rows as in `detection_map`; labels are not looked at.
    """
    videos = list(dict.fromkeys(truth[0] for truth in truths))
    proposals = {
        video: sorted((row for row in predictions if row[0] == video), key=lambda row: -row[4])
        for video in videos
    }
    total = sum(len(rows) for rows in proposals.values())
    if total == 0:
        return [[0.0] * most for _ in thresholds]
    for rows in proposals.values():
        del rows[int(len(rows) * (most * float(len(videos)) / total)) :]
    total = sum(len(rows) for rows in proposals.values())
    table = []
    for threshold in thresholds:
        line = []
        for an in range(1, most + 1):
            share = an / most * (most * float(len(videos)) / total)
            covered = 0
            for video, start, end, _ in truths:
                given = proposals[video][: int(len(proposals[video]) * share)]
                covered += any(tiou(row[1:3], (start, end), 0.0) >= threshold for row in given)
            line.append(covered / len(truths))
        table.append(line)
    return table


def true_positions(truths, num_positions, rate, strict):
    """Whether each position of a video is true. Rows are (start, end), of one class and video."""
    positions = [False] * num_positions
    for start, end in truths:
        if strict:
            for f in range(num_positions):
                if start < f / rate < end:
                    positions[f] = True
        else:
            for f in range(int(start * rate), int(end * rate) + 1):
                if 0 <= f < num_positions:
                    positions[f] = True
    return positions


def dense_scores(predictions, num_positions, rate, shift):
    """The score at each position of a video. Rows are (start, end, score), of one class and video."""
    best = {}
    for start, end, score in predictions:
        if score > 0.01:
            for f in range(int(start * rate), int(end * rate)):
                if 0 <= f < num_positions:
                    best[f] = max(best.get(f, 0.0), score)
    dense = []
    for f in range(num_positions):
        total = 0.0
        for place, score in best.items():
            distance = f + shift - place
            total += 5 * score * math.exp(-(distance**2) / (2 * 3**2)) / (3 * math.sqrt(2 * math.pi))
        dense.append(struct.unpack("f", struct.pack("f", total))[0])  # the reference keeps float32
    return dense


def segmentation_ap(predictions, truths, durations, labels, frames_per_second, stride, strict, shift):
    """AP by label over the positions of all videos; `durations` are seconds by video.

    A video that is a millionth of a frame short of a whole one has that frame.
    """
    table = []
    for label in labels:
        pooled = []
        for video, duration in durations.items():
            num_positions = int(duration * frames_per_second + 1e-6) // stride
            if num_positions == 0:
                continue
            rate = num_positions / duration
            mine = [(row[1], row[2], row[4]) for row in predictions if row[0] == video and row[3] == label]
            true = [(row[1], row[2]) for row in truths if row[0] == video and row[3] == label]
            scores = dense_scores(mine, num_positions, rate, shift)
            pooled += zip(scores, true_positions(true, num_positions, rate, strict), strict=True)
        hits, precisions = 0, []
        for rank, (_, positive) in enumerate(sorted(pooled, key=lambda pair: -pair[0]), start=1):
            if positive:
                hits += 1
                precisions.append(hits / rank)
        table.append(sum(precisions) / len(precisions) if precisions else 0.0)
    return table


def best_f1(predictions, truths, labels, threshold, union_epsilon):
    """(score, precision, recall, F1) of the best score to keep predictions from, or None where none hits.

    Rows as in `detection_map`. Each score is tried by itself, the highest first.
    """
    best = None
    for score in sorted({row[4] for row in predictions}, reverse=True):
        kept = [row for row in predictions if row[4] >= score and row[3] in labels]
        hits = 0
        for label in labels:
            mine = [row for row in kept if row[3] == label]
            true = [row for row in truths if row[3] == label]
            hits += sum(class_outcomes(mine, true, threshold, union_epsilon))
        if not hits:
            continue
        precision, recall = hits / len(kept), hits / len(truths)
        f1 = 2 * precision * recall / (precision + recall)
        if best is None or f1 > best[3] + 1e-12:
            best = (score, precision, recall, f1)
    return best
