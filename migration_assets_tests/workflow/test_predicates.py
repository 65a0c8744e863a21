"""A filter is one boolean expression of the source's SQL, whole in itself."""

from __future__ import annotations

import pytest

from migration_assets.workflow import SOURCE_PLATFORMS, SourcePlatform
from migration_assets.workflow.predicates import PredicateError, check_condition, check_predicate
from migration_assets.workflow.source_platforms import TARGET_SYNTAX
from migration_assets_tests.workflow.documents import parse, table, workflow

EVERYWHERE = [
    "a = 1",
    "(a = 1)",
    "a = 1 AND (b < 2 OR NOT c >= 3)",
    "is_deleted = 0",
    "a IS NOT NULL",
    "a BETWEEN 1 AND 2",
    "a LIKE 'x;--%'",
    "a IN (1, 2, 3)",
    "a NOT IN (SELECT max(b) FROM t GROUP BY c)",
    "EXISTS (SELECT 1 FROM t WHERE t.id = a ORDER BY 1)",
    "a = (SELECT count(*) FROM t)",
    "\"odd -- name\" = 'it''s /* fine */'",
    "CAST(a AS INTEGER) + 1 > 2",
    "CASE WHEN a = 1 THEN 2 ELSE 3 END = 2",
    "comment = 'x'",
    '"where" = 1 AND "select" = 2',
    "a - -1 = 2",
    "  a = 1\n  AND b = 2  ",
]

BY_PLATFORM: list[tuple[SourcePlatform, str]] = [
    ("postgresql", "active"),
    ("postgresql", "NOT active"),
    ("postgresql", "active AND a = 1"),
    ("postgresql", "true"),
    ("postgresql", "a::boolean"),
    ("postgresql", "coalesce(active, false)"),
    ("postgresql", "starts_with(a, 'x')"),
    ("postgresql", "my_function(a)"),
    ("postgresql", "a ~* '^x'"),
    ("postgresql", "a ILIKE 'x%'"),
    ("postgresql", "doc @> '{}' AND doc ->> 'k' = 'v'"),
    ("postgresql", "doc ? 'k'"),
    ("postgresql", "a = ANY (ARRAY[1, 2])"),
    ("postgresql", "a IS DISTINCT FROM b"),
    ("postgresql", "changed > now() - interval '1 day'"),
    ("postgresql", "a = $$; -- ) $$"),
    ("postgresql", r"a = E'\';--'"),
    ("redshift", "active"),
    ("redshift", "a ILIKE 'x%' AND d > getdate()"),
    ("redshift", r"a = 'it\'s -- fine'"),
    ("sqlserver", "[My Column] = N'x' AND [a]]--b] > 1"),
    ("sqlserver", "DATEADD(day, -1, GETDATE()) < d"),
    ("sqlserver", "CONTAINS(a, 'x')"),
    ("sqlserver", "IIF(a = 1, 1, 0) = 1"),
    ("teradata", "a MOD 2 = 0"),
    ("teradata", "d > DATE '2020-01-31'"),
    ("teradata", "a LIKE ANY ('x%', 'y%')"),
]

REFUSED_EVERYWHERE: list[tuple[str, str]] = [
    ("", "empty"),
    (" \n", "empty"),
    ("a = 1;", "semicolon"),
    ("a = 1; DROP TABLE t", "semicolon"),
    ("a = 1 -- and more", "comment"),
    ("a = 1 /* and more */", "comment"),
    ("/*+ hint */ a = 1", "comment"),
    ("-- a = 1", "comment"),
    ("a = 1) OR (b = 2", "didn't open"),
    ("(a = 1", "leaves a parenthesis open"),
    ("a = 1)", "didn't open"),
    ("WHERE a = 1", "WHERE"),
    ("SELECT 1", "query"),
    ("(SELECT 1)", "query"),
    ("WITH x AS (SELECT 1) SELECT * FROM x", "query"),
    ("DROP TABLE t", "can't go on"),
    ("a = 1 ORDER BY a", "ORDER BY"),
    ("a = 1 LIMIT 5", "can't go on|LIMIT"),
    ("a = 1 GROUP BY a", "GROUP BY"),
    ("a = 1 HAVING b = 2", "HAVING"),
    ("a = 1 UNION SELECT 1", "UNION"),
    ("a = 1 FROM t", "FROM"),
    ("a = 1 AS b", "AS"),
    ("a = 1 b", "can't go on"),
    ("a = 1, b = 2", "can't go on"),
    ("a = 1 AND", "not one boolean"),
    ("a = = 1", "not one boolean"),
    ("a = 'x", "can't be read"),
    ("5", "not a condition"),
    ("'x'", "not a condition"),
    ("NULL", "not a condition"),
    ("a + 1", "not a condition"),
    ("-a", "not a condition"),
    ("a = 1 AND 5", "not a condition"),
    ("NOT (a + 1)", "not a condition"),
    ("lower(a)", "not a condition"),
    ("(a, b)", "not a condition"),
    ("count(*) > 1", "aggregate"),
    ("a = 1 AND max(b) = 2", "aggregate"),
    ("row_number() OVER (ORDER BY a) = 1", "window"),
    ("sum(a) OVER () = 1", "window"),
    ("a = ?", "parameter"),
    ("(" * 3000 + "a = 1" + ")" * 3000, "too deeply"),
]

REFUSED_BY_PLATFORM: list[tuple[SourcePlatform, str, str]] = [
    ("sqlserver", "active", "not a condition"),
    ("sqlserver", "true", "not a condition"),
    ("sqlserver", "NOT active", "not a condition"),
    ("sqlserver", "my_function(a)", "not a condition"),
    ("sqlserver", "a = @x", "parameter"),
    ("sqlserver", "a = 1 OPTION (RECOMPILE)", "OPTION"),
    ("sqlserver", "count_big(*) = 1", "aggregate"),
    ("teradata", "active", "not a condition"),
    ("teradata", "a = 1 QUALIFY 1 = 1", "QUALIFY"),
    ("teradata", "a = 1 SAMPLE 10", "SAMPLE"),
    ("postgresql", "doc ->> 'k'", "not a condition"),
    ("postgresql", "a || b", "not a condition"),
    ("postgresql", "a & 1", "not a condition"),
    ("postgresql", "doc #> '{k}'", "not a condition"),
    ("postgresql", "now()", "not a condition"),
    ("postgresql", "a = $1", "parameter"),
    ("postgresql", "a = :x", "parameter"),
    ("postgresql", "json_agg(a) IS NULL", "aggregate"),
    ("postgresql", "bool_and(a)", "aggregate"),
    ("postgresql", "count(*) FILTER (WHERE a) > 1", "aggregate"),
    ("redshift", "listagg(a) = 'x'", "aggregate"),
    # In Redshift a backslash escapes the quote, so the string goes on to the end.
    ("redshift", r"a = 'x\' OR b = 1", "can't be read"),
]


@pytest.mark.parametrize("text", EVERYWHERE)
@pytest.mark.parametrize("platform", SOURCE_PLATFORMS)
def test_a_condition_is_accepted_everywhere(platform: SourcePlatform, text: str) -> None:
    check_predicate(text, platform)


@pytest.mark.parametrize(("platform", "text"), BY_PLATFORM)
def test_a_condition_is_accepted_in_its_own_sql(platform: SourcePlatform, text: str) -> None:
    check_predicate(text, platform)


@pytest.mark.parametrize(("text", "words"), REFUSED_EVERYWHERE)
@pytest.mark.parametrize("platform", SOURCE_PLATFORMS)
def test_what_is_not_one_condition_is_refused(platform: SourcePlatform, text: str, words: str) -> None:
    with pytest.raises(PredicateError, match=words):
        check_predicate(text, platform)


@pytest.mark.parametrize(("platform", "text", "words"), REFUSED_BY_PLATFORM)
def test_what_the_platform_cant_use_is_refused(platform: SourcePlatform, text: str, words: str) -> None:
    with pytest.raises(PredicateError, match=words):
        check_predicate(text, platform)


def test_a_long_list_and_many_alternatives_are_no_problem() -> None:
    check_predicate("a IN (" + ", ".join(map(str, range(5000))) + ")", "postgresql")
    check_predicate(" OR ".join(["a = 1"] * 2000), "postgresql")


def test_the_users_own_text_is_kept() -> None:
    text = "  a=1\n AND  lower( b )='x' "
    assert parse(workflow(table(whereClauseCriteria=text))).tables[0].where_clause_criteria == text


@pytest.mark.parametrize("text", ["active", "doc:a.b = 1", "a ILIKE 'x%'", "a = '// no comment'", "a = $$it's$$"])
def test_conditions_in_the_sql_of_the_target_are_accepted(text: str) -> None:
    check_condition(text, TARGET_SYNTAX)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = 1 // rest", "comment"),
        ("doc:a", "not a condition"),
        ("$x = 1", "parameter"),
        ("a = 1 QUALIFY b", "QUALIFY"),
        ("hash_agg(a) = 1", "aggregate"),
    ],
)
def test_other_texts_in_the_sql_of_the_target_are_refused(text: str, words: str) -> None:
    with pytest.raises(PredicateError, match=words):
        check_condition(text, TARGET_SYNTAX)
