"""The results as a table, as JSON and as a picture."""

import json
from xml.sax.saxutils import escape

COLOURS = {"gateway": "#0b6e4f", "pgo": "#5aa17f", "floor": "#6c757d", "nginx": "#1f77b4", "haproxy": "#c44536", "envoy": "#8e5ea2"}
WIDTH, LEFT, BAR, GAP = 860, 110, 20, 6


def write(results, folder):
    (folder / "results.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    (folder / "results.md").write_text(markdown(results))
    (folder / "results.svg").write_text(svg(results))


def markdown(results):
    lines = [f"# Bench of {results['when']}", "", results["machine"], ""]
    for scenario in results["scenarios"]:
        lines += [f"## {scenario['name']}: {scenario['about']}", ""]
        lines += ["| | value | to floor | to nginx | two to one | to itself without | p50 µs | p99 µs |", "|---|---:|---:|---:|---:|---:|---:|---:|"]
        lines += [table_row(row) for row in scenario["rows"]]
        for target in scenario["targets"]:
            verdict = "ok" if target["ok"] else "**over**"
            lines += ["", f"Target: {target['text']}: {target['value']:.2f}, to reach {target['limit']}: {verdict}"]
        lines.append("")
    return "\n".join(lines)


def table_row(row):
    cells = [f"{row['value']:.2f} {row['unit']}"]
    for key, form in (("to_floor", ".2f"), ("to_nginx", ".2f"), ("to_one", ".2f"), ("to_without", ".3f"), ("p50_us", ".0f"), ("p99_us", ".0f")):
        value = row.get(key)
        cells.append("" if value is None or isinstance(value, list) else format(value, form))
    return f"| {row['label']} | " + " | ".join(cells) + " |"


def svg(results):
    """A bar for each gateway in each scenario, its length the value, dark on light."""
    parts, top = [], 56
    for scenario in results["scenarios"]:
        parts.append(text(16, top + 14, f"{scenario['name']}: {scenario['about']}", weight="bold"))
        top += 26
        longest = max(row["value"] for row in scenario["rows"]) or 1
        for row in scenario["rows"]:
            parts += bar(row, top, longest)
            top += BAR + GAP
        for target in scenario["targets"]:
            verdict = f"{target['text']}: {target['value']:.2f} (to reach {target['limit']}: {'ok' if target['ok'] else 'over'})"
            parts.append(text(LEFT, top + 13, verdict, fill="#0b6e4f" if target["ok"] else "#b00020"))
            top += 22
        top += 16
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{top}" fill="#ffffff"/>',
        text(16, 24, "Tollgate beside a bare Pingora proxy (floor), nginx, HAProxy and Envoy", weight="bold", size=16),
        text(16, 44, f"{results['when']}, {results['machine']}; shorter is better, reuse apart", fill="#444444", size=11),
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def bar(row, top, longest):
    length = max(1, round((WIDTH - LEFT - 300) * max(row["value"], 0) / longest))
    notes = [f"{row['value']:.2f} {row['unit']}"]
    notes += [f"{row[key]:.2f} × {name}" for key, name in (("to_floor", "floor"), ("to_one", "one worker"), ("to_without", "without")) if key in row]
    colour = COLOURS.get(row["label"].split()[0], "#333333")
    return [
        text(LEFT - 10, top + 15, row["label"], anchor="end"),
        f'<rect x="{LEFT}" y="{top}" width="{length}" height="{BAR}" rx="2" fill="{colour}"/>',
        text(LEFT + length + 8, top + 15, ", ".join(notes), size=12),
    ]


def text(x, y, content, *, weight="normal", size=13, anchor="start", fill="#111111"):
    style = f'font-weight="{weight}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"'
    return f'<text x="{x}" y="{y}" {style}>{escape(content)}</text>'
