"""The tables of a city-year written in SQL for DuckDB: one district after the other."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl

from benchmarks.peers.city_tables import (
    AS_OF,
    DIMENSIONS,
    EARLIEST,
    ELEMENTS,
    LIMITS,
    LONGEST_MIN,
    NEVER,
    OLDEST,
    OUTPUTS,
    SCAN_CM,
    bands,
    codes,
    matches,
    nodes,
)

RULES = [r for r in codes("rule") if r not in ("other", "missing", *NEVER)]
NOW, FIRST = (f"TIMESTAMP '{t}'" for t in (AS_OF, EARLIEST))


def code(column: str, dimension: str) -> str:
    """Return the code of a text; the table of its codes is small."""
    text = f"lower(trim({column}::VARCHAR))"
    return (
        f"CASE WHEN {column} IS NULL OR {text} = '' THEN 'missing' "
        f"ELSE coalesce(getvariable('{dimension}')[{text}], 'other') END"
    )


def band(column: str, dimension: str) -> str:
    """Return the interval of a number."""
    edges, labels = DIMENSIONS[dimension]["edges"], bands(dimension)
    cases = " ".join(
        f"WHEN {column} < {high} THEN '{label}'"
        for high, label in zip(edges[1:], labels[:-1], strict=True)
    )
    return (
        f"CASE WHEN {column} IS NULL THEN 'missing' WHEN {column} < {edges[0]} "
        f"OR {column} > {DIMENSIONS[dimension]['maximum']} THEN 'other' {cases} "
        f"ELSE '{labels[-1]}' END"
    )


def count(rows: str, by: list[str], *, one: bool = False) -> str:
    """Return the query of exams and patients by every subset of `by`."""
    labels = ", ".join(f"coalesce({d}, 'all') AS {d}" for d in by)
    exams = "count(*)" if one else "count(DISTINCT exam)"
    return (
        f"SELECT {labels}, {exams} AS exams, count(DISTINCT patient) AS patients "
        f"FROM {rows} GROUP BY CUBE ({', '.join(by)})"
    )


def histogram(rows: str, by: list[str], column: str, output: str) -> str:
    """Return the query of exams and patients at every node of the tree over the intervals."""
    leaf = " + ".join(f"({column} >= {float(e)})::INT" for e in OUTPUTS[output]["edges"])
    pairs = sorted({(i, n) for level in nodes(output) for i, n in enumerate(level) if n})
    values = ", ".join(f"({i}, '{n}')" for i, n in pairs)
    labels = ", ".join(f"coalesce({d}, 'all') AS {d}" for d in by)
    return f"""
        WITH placed_in AS (SELECT {", ".join(by)}, patient, {leaf} AS leaf FROM {rows}
                    WHERE {column} IS NOT NULL),
             node(leaf, bin) AS (VALUES {values})
        SELECT {labels}, bin, count(*) AS exams, count(DISTINCT patient) AS patients
        FROM placed_in JOIN node USING (leaf) GROUP BY CUBE ({", ".join(by)}), bin"""


def read(table: str, path: Path, one_row: str) -> str:
    """Return the statements that read a table and find the rows that are left out."""
    return f"""
        CREATE OR REPLACE TEMP VIEW raw AS SELECT *, hash(exam_uid) AS exam,
            hash(patient_id) AS patient, exam_uid IS NULL OR patient_id IS NULL AS no_identifier,
            file_row_number AS row FROM read_parquet('{path}', file_row_number = true);
        CREATE OR REPLACE TEMP TABLE several AS SELECT exam, patient, row, row_number()
            OVER (PARTITION BY {one_row} ORDER BY row) > 1 AS again FROM raw
            WHERE NOT no_identifier AND exam IN (
                SELECT exam FROM raw WHERE NOT no_identifier GROUP BY exam HAVING count(*) > 1);
        CREATE OR REPLACE TEMP TABLE claims AS SELECT exam FROM several GROUP BY exam
            HAVING count(DISTINCT patient) > 1;
        CREATE OR REPLACE TEMP VIEW {table} AS SELECT *,
            NOT no_identifier AND exam IN (SELECT exam FROM claims) AS two_patients,
            row IN (SELECT row FROM several WHERE again) AS duplicate_exam FROM raw;"""


def judged() -> str:
    """Return the statement that judges exams."""
    low = " OR ".join(f"({c} < {a} AND {c} < 0)" for c, (a, _) in LIMITS.items())
    high = " OR ".join(
        f"({c} > {b} OR ({c} < {a} AND {c} >= 0) OR isnan({c}))" for c, (a, b) in LIMITS.items()
    )
    minutes = "epoch(exam_end_time - exam_time) / 60"
    doses = ", ".join(
        f"CASE WHEN NOT wrong_unit AND {c} BETWEEN {LIMITS[c][0]} AND {LIMITS[c][1]} "
        f"THEN {c} END AS {c}"
        for c in ("ctdivol_mgy", "dlp_mgy_cm")
    )
    both = " AND ".join(f"{c} > 0 AND {c} <= {LIMITS[c][1]}" for c in ("ctdivol_mgy", "dlp_mgy_cm"))
    misfit = f"{both} AND dlp_mgy_cm / ctdivol_mgy NOT BETWEEN {SCAN_CM[0]} AND {SCAN_CM[1]}"
    return f"""
        CREATE OR REPLACE TEMP TABLE flagged AS
        WITH a AS (SELECT *,
                coalesce(exam_time NOT BETWEEN {FIRST} AND {NOW}, false) OR coalesce(
                    exam_end_time NOT BETWEEN {FIRST} AND {NOW} + INTERVAL 1 DAY, false)
                    AS time_not_possible,
                coalesce(age_years NOT BETWEEN 0 AND {OLDEST}, false) AS age_not_possible,
                coalesce({low}, false) AS negative_value, coalesce({high}, false) AS absurd_value,
                coalesce({misfit}, false) AS wrong_unit,
                coalesce(device_serial IN (SELECT device_serial FROM exams
                    WHERE station IS NOT NULL GROUP BY device_serial
                    HAVING count(DISTINCT station) > 1), false) AS shared_serial
            FROM exams),
        b AS (SELECT *,
                coalesce(NOT time_not_possible AND {minutes} < 0, false) AS ends_before_start,
                coalesce(NOT time_not_possible AND {minutes} > {LONGEST_MIN}, false)
                    AS takes_too_long FROM a)
        SELECT coalesce(exam, row) AS exam, coalesce(patient, 0) AS patient, {", ".join(RULES)},
            modality, facility, station, manufacturer, protocol,
            CASE WHEN NOT time_not_possible THEN exam_time END AS exam_time,
            CASE WHEN NOT (time_not_possible OR ends_before_start OR takes_too_long)
                THEN exam_end_time END AS exam_end_time,
            CASE WHEN NOT age_not_possible THEN age_years END AS age_years, {doses} FROM b;
        CREATE OR REPLACE TEMP VIEW kept AS SELECT * FROM flagged
            WHERE NOT (no_identifier OR two_patients OR duplicate_exam)"""


def attrition() -> str:
    """Return the query of exams and patients by rule."""
    numbers = "count(DISTINCT exam) AS exams, count(DISTINCT patient) AS patients FROM flagged"
    parts = [f"SELECT '{r}' AS rule, {numbers} WHERE {r}" for r in RULES]
    none = f"SELECT 'missing' AS rule, {numbers} WHERE NOT ({' OR '.join(RULES)})"
    return " UNION ALL ".join([*parts, none, f"SELECT 'all' AS rule, {numbers}"])


PLACED = f"""
    CREATE OR REPLACE TEMP TABLE placed AS SELECT exam, patient,
        {code("modality", "modality")} AS modality,
        CASE WHEN exam_time IS NULL THEN 'missing' WHEN year(exam_time) BETWEEN 2020 AND 2023
            THEN strftime(exam_time, '%Y-%m') ELSE 'other' END AS month,
        coalesce(isodow(exam_time)::VARCHAR, 'missing') AS weekday,
        coalesce(hour(exam_time)::VARCHAR, 'missing') AS hour FROM kept"""

MONTH = "date_trunc('month', DATE '1970-01-01' + day::INT)"
USE = f"""
    CREATE OR REPLACE TEMP TABLE timed AS SELECT device,
        epoch(date_trunc('day', exam_time))::BIGINT // 86400 AS day,
        epoch(exam_time)::BIGINT % 86400 AS start,
        epoch(exam_end_time)::BIGINT - epoch(exam_time)::BIGINT AS length
        FROM kept JOIN devices USING (station) WHERE digital AND exam_time IS NOT NULL;
    CREATE OR REPLACE TEMP TABLE calendar AS
    WITH d AS (SELECT unnest(range((SELECT min(day) FROM timed), (SELECT max(day) FROM timed) + 1))
            AS day),
        h AS (SELECT device, modality, day, (day + 3) % 7 AS weekday, installed_date, retired_date,
            60 * CASE WHEN (day + 3) % 7 < 5 THEN weekday_open_min WHEN (day + 3) % 7 = 5
                THEN saturday_open_min ELSE sunday_open_min END::BIGINT AS opens,
            60 * CASE WHEN (day + 3) % 7 < 5 THEN weekday_close_min WHEN (day + 3) % 7 = 5
                THEN saturday_close_min ELSE sunday_close_min END::BIGINT AS closes
            FROM devices, d WHERE digital)
    SELECT device, modality, day, weekday, opens, closes FROM h WHERE closes > opens
        AND coalesce(DATE '1970-01-01' + day::INT >= installed_date, true)
        AND coalesce(DATE '1970-01-01' + day::INT <= retired_date, true);
    CREATE OR REPLACE TEMP TABLE busy AS
    WITH spans AS (SELECT device, day, start, least(start + length, 86400) AS stop FROM timed
            WHERE length IS NOT NULL
        UNION ALL SELECT device, day + 1, 0, start + length - 86400 FROM timed
            WHERE start + length > 86400 AND day < (SELECT max(day) FROM timed)),
        cut AS (SELECT device, day, weekday, greatest(start, opens) AS b, least(stop, closes) AS e
            FROM spans JOIN calendar USING (device, day)
            WHERE least(stop, closes) > greatest(start, opens)),
        reach AS (SELECT *, coalesce(max(e) OVER (PARTITION BY device, day ORDER BY b
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before FROM cut)
    SELECT device, day, weekday, greatest(b, before) AS b, e FROM reach
        WHERE e > greatest(b, before);
    CREATE OR REPLACE TEMP TABLE days AS SELECT row_number() OVER () AS patient,
        {code("modality", "modality")} AS modality,
        100 * (coalesce(s, 0) / 60) / ((closes - opens) / 60) AS use
        FROM calendar LEFT JOIN (SELECT device, day, sum(e - b) AS s FROM busy GROUP BY ALL)
        USING (device, day);
    CREATE OR REPLACE TEMP TABLE hours AS
    WITH o AS (SELECT device, {MONTH} AS month, weekday, h, sum(least(closes, (h + 1) * 3600)
            - greatest(opens, h * 3600)) AS opened FROM calendar, range(24) r(h)
            WHERE closes > h * 3600 AND opens < (h + 1) * 3600 GROUP BY ALL),
        u AS (SELECT device, {MONTH} AS month, weekday, h,
            sum(least(e, (h + 1) * 3600) - greatest(b, h * 3600)) AS s
            FROM (SELECT *, unnest(range(b // 3600, (e - 1) // 3600 + 1)) AS h FROM busy)
            GROUP BY ALL)
    SELECT (weekday + 1)::VARCHAR AS weekday, h::VARCHAR AS hour,
        round_even(100 * coalesce(s, 0) / opened / 0.01::DOUBLE, 0)::BIGINT AS step
        FROM o LEFT JOIN u USING (device, month, weekday, h)"""

USE_OF_HOURS = """
    SELECT coalesce(weekday, 'all') AS weekday, coalesce(hour, 'all') AS hour, count(*) AS exams,
        count(*) AS patients, sum(step)::BIGINT AS total,
        sum(step * step)::BIGINT AS square
    FROM hours GROUP BY CUBE (weekday, hour)"""

FLEET = f"""
    CREATE OR REPLACE TEMP TABLE fleet AS
    WITH f AS (SELECT * FROM devices WHERE coalesce(installed_date <= DATE '{AS_OF.date()}', true)
            AND coalesce(retired_date > DATE '{AS_OF.date()}', true))
    SELECT device AS exam, device AS patient, {code("modality", "modality")} AS modality,
        CASE WHEN digital THEN 'digital' WHEN NOT digital THEN 'film' ELSE 'missing' END
            AS device_kind FROM f"""

AGED = f"""
    CREATE OR REPLACE TEMP TABLE aged AS
    WITH a AS (SELECT exam, patient, kept.modality, kept.manufacturer,
            date_diff('day', installed_date, exam_time::DATE) / 365.25 AS years
            FROM kept LEFT JOIN devices ON kept.station::VARCHAR = devices.station)
    SELECT exam, patient, {code("modality", "modality")} AS modality,
        {code("manufacturer", "manufacturer")} AS manufacturer,
        {band("CASE WHEN years BETWEEN 0 AND 60 THEN years END", "device_age")} AS device_age
        FROM a"""

DOSES = f"""
    CREATE OR REPLACE TEMP TABLE doses AS
    WITH n AS (SELECT facility::VARCHAR AS facility,
            printf('%02d', row_number() OVER (ORDER BY facility::VARCHAR)) AS number
            FROM (SELECT DISTINCT facility FROM kept WHERE facility IS NOT NULL)),
        d AS (SELECT exam, patient,
            CASE WHEN count(*) = count(protocol) AND min(protocol) = max(protocol)
                THEN min(protocol) END AS protocol,
            CASE WHEN count(*) = count(facility) AND min(facility) = max(facility)
                THEN min(facility) END AS facility,
            min(age_years) AS age_years, max(ctdivol_mgy)::DOUBLE AS ctdivol_mgy,
            sum(dlp_mgy_cm::DOUBLE) AS dlp_mgy_cm
            FROM kept WHERE modality = 'CT' GROUP BY exam, patient)
    SELECT patient, {code("protocol", "protocol")} AS protocol,
        {code("protocol", "drl_protocol")} AS drl_protocol,
        {band("age_years", "age_group")} AS age_group, age_years >= 18 AS adult,
        {code("number", "facility")} AS facility, ctdivol_mgy, dlp_mgy_cm
        FROM d LEFT JOIN n USING (facility)"""


def timed(stage: str) -> str:
    """Return the statement that measures how long reports take."""
    end = "least(preliminary_time, final_time)" if stage == "preliminary" else "final_time"
    return f"""
        CREATE OR REPLACE TEMP TABLE {stage} AS
        WITH a AS (SELECT patient, {code("reader_group", "reader_group")} AS reader_group,
                acquired_time AS b, coalesce({end} <= {NOW}, false) AS there,
                CASE WHEN {end} <= {NOW} THEN {end} ELSE {NOW} END AS u FROM told),
            h AS (SELECT *, epoch_us(u - b) / 3.6e9 AS hours FROM a
                WHERE b IS NOT NULL AND b <= {NOW})
        SELECT patient, reader_group, hours, CASE WHEN there THEN 'event' ELSE 'censored' END
            AS outcome FROM h WHERE NOT there OR hours BETWEEN 0 AND 24 * 365"""


def described() -> str:
    """Return the statement that says what reports state."""
    parts = []
    for element, columns in ELEMENTS.items():
        held = " AND ".join(
            f"coalesce(NOT isnan({c}), false)" if c.endswith("value")
            else f"coalesce(trim({c}::VARCHAR) <> '', false)" for c in columns
        )  # fmt: skip
        where = "WHERE modality = 'MG'" if element == "category" else ""
        parts.append(
            f"SELECT exam, patient, {code('reader_group', 'reader_group')} AS reader_group, "
            f"'{element}' AS report_element, CASE WHEN {held} THEN 'stated' ELSE 'lacking' END "
            f"AS state FROM told {where}"
        )
    return "CREATE OR REPLACE TEMP VIEW described AS " + " UNION ALL ".join(parts)


def main(data: Path, district: str) -> dict[str, pl.DataFrame]:
    """Return all tables of a district."""
    db = duckdb.connect(config={"threads": 2})
    for dimension in ("modality", "manufacturer", "protocol", "drl_protocol", "facility",
                      "reader_group"):  # fmt: skip
        found = matches(dimension)
        quoted = (", ".join("'" + t.replace("'", "''") + "'" for t in texts)
                  for texts in (found.keys(), found.values()))  # fmt: skip
        db.execute(f"SET VARIABLE {dimension} = map([{next(quoted)}], [{next(quoted)}])")

    run = db.execute

    def tell(query: str) -> pl.DataFrame:
        made = run(query)
        return pl.DataFrame(made.fetchall(), [d[0] for d in made.description], orient="row")

    one_row = "exam, modality, station, device_serial"
    run(read("exams", data / district / "exams.parquet", one_row))
    run(judged())
    found = {"attrition": tell(attrition())}
    run(PLACED)
    found["exams_by_month"] = tell(count("placed", ["month", "modality"]))
    found["exams_by_hour"] = tell(count("placed", ["weekday", "hour"]))
    run("DROP TABLE placed")
    path = data / district / "devices.parquet"
    run(
        "CREATE TEMP TABLE devices AS SELECT *, file_row_number AS device "
        f"FROM read_parquet('{path}', file_row_number = true)"
    )
    run(USE)
    run(FLEET)
    run(AGED)
    found["use_of_devices"] = tell(histogram("days", ["modality"], "use", "use_of_devices"))
    found["use_of_hours"] = tell(USE_OF_HOURS)
    for name, by in (
        ("exams_by_device_age", "modality"),
        ("exams_by_manufacturer", "manufacturer"),
    ):
        found[name] = tell(count("aged", [by, "device_age"]))
    found["devices_in_use"] = tell(count("fleet", ["modality", "device_kind"], one=True))
    run("DROP TABLE aged")
    run(DOSES)
    run("DROP VIEW kept; DROP TABLE flagged; DROP TABLE timed; DROP TABLE busy")
    both = ["protocol", "age_group"]
    found["ctdivol"] = tell(histogram("doses", both, "ctdivol_mgy", "ctdivol"))
    found["dlp"] = tell(histogram("doses", both, "dlp_mgy_cm", "dlp"))
    places, adults = ["drl_protocol", "facility"], "(SELECT * FROM doses WHERE adult)"
    found["dlp_of_facilities"] = tell(histogram(adults, places, "dlp_mgy_cm", "dlp_of_facilities"))
    run(read("reports", data / district / "reports.parquet", "exam"))
    run(
        "CREATE TEMP VIEW told AS SELECT * FROM reports "
        "WHERE NOT (no_identifier OR two_patients OR duplicate_exam)"
    )
    for name, stage in (("turnaround", "final"), ("preliminary", "preliminary")):
        run(timed(stage))
        found[name] = tell(histogram(stage, ["reader_group", "outcome"], "hours", name))
    run(described())
    found["completeness_of_reports"] = tell(
        count("described", ["report_element", "state", "reader_group"])
    )
    db.close()
    return found
