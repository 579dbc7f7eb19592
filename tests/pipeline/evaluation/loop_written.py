"""Detection mAP as plain loops from its definition: slow, obvious, and sharing no code with raytad."""


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
