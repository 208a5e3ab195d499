/*
 * Golden tests of the function registry: every row's example with its result (a test fails for a
 * row without one), then NULLs, errors and edges by family.
 */
#include "expressions/function.h"
#include "tests/kit/expressions/golden.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct golden examples[] = {
    {"TRUE AND NOT FALSE", "TRUE"},
    {"FALSE OR TRUE", "TRUE"},
    {"NOT FALSE", "TRUE"},
    {"NULL IS NULL", "TRUE"},
    {"1 IS NOT NULL", "TRUE"},
    {"TRUE IS TRUE", "TRUE"},
    {"FALSE IS FALSE", "TRUE"},
    {"CAST(NULL AS BOOLEAN) IS UNKNOWN", "TRUE"},
    {"CASE WHEN 1 > 2 THEN 'a' ELSE 'b' END", "b"},
    {"if(1 < 2, 'yes', 'no')", "yes"},
    {"coalesce(NULL, 2)", "2"},
    {"ifnull(NULL, 2)", "2"},
    {"nullif(1, 2)", "1"},
    {"CAST('12' AS INT)", "12"},
    {"TRY_CAST('12' AS INT)", "12"},
    {"1 = 1.0", "TRUE"},
    {"'a' <> 'b'", "TRUE"},
    {"1 < 2", "TRUE"},
    {"2 <= 2", "TRUE"},
    {"DATE '2024-02-01' > DATE '2024-01-31'", "TRUE"},
    {"'b' >= 'a'", "TRUE"},
    {"NULL IS DISTINCT FROM 1", "TRUE"},
    {"1 IS NOT DISTINCT FROM 1", "TRUE"},
    {"2 BETWEEN 1 AND 3", "TRUE"},
    {"'b' IN ('a', 'b')", "TRUE"},
    {"greatest(1, 3, 2)", "3"},
    {"least(1, 3, 2)", "1"},
    {"1 + 2", "3"},
    {"5 - 3", "2"},
    {"2 * 3", "6"},
    {"7 / 2", "3"},
    {"-7 % 3", "-1"},
    {"mod(7, 3)", "1"},
    {"- (1 + 2)", "-3"},
    {"abs(-3)", "3"},
    {"sign(-3.5)", "-1.0"},
    {"ceil(1.2)", "2"},
    {"ceiling(1.2)", "2"},
    {"floor(-1.2)", "-2"},
    {"round(2.675e0, 2)", "2.68"},
    {"truncate(2.679e0, 2)", "2.67"},
    {"power(2, 10)", "1024.0"},
    {"sqrt(2.25)", "1.5"},
    {"exp(0)", "1.0"},
    {"ln(1)", "0.0"},
    {"log10(1000)", "3.0"},
    {"log2(8)", "3.0"},
    {"'ab' || 'c'", "abc"},
    {"concat('a', 'b', 'c')", "abc"},
    {"concat_ws('-', 'a', NULL, 'b')", "a-b"},
    {"lower('ABC')", "abc"},
    {"upper('abc')", "ABC"},
    {"initcap('hello world')", "Hello World"},
    {"substring('hello', 2, 3)", "ell"},
    {"substr('hello', -3)", "llo"},
    {"left('hello', 2)", "he"},
    {"right('hello', 2)", "lo"},
    {"trim(BOTH 'x' FROM 'xxax')", "a"},
    {"ltrim('  a')", "a"},
    {"rtrim('a  ')", "a"},
    {"replace('banana', 'an', 'o')", "booa"},
    {"reverse('abc')", "cba"},
    {"repeat('ab', 3)", "ababab"},
    {"lpad('7', 3, '0')", "007"},
    {"rpad('7', 3, '.')", "7.."},
    {"chr(65)", "A"},
    {"ascii('A')", "65"},
    {"char_length('hello')", "5"},
    {"character_length('hello')", "5"},
    {"length('hello')", "5"},
    {"octet_length('hello')", "5"},
    {"'apple' LIKE 'a%e'", "TRUE"},
    {"position('l' IN 'hello')", "3"},
    {"locate('l', 'hello', 4)", "4"},
    {"instr('hello', 'l')", "3"},
    {"starts_with('hello', 'he')", "TRUE"},
    {"startswith('hello', 'he')", "TRUE"},
    {"ends_with('hello', 'lo')", "TRUE"},
    {"endswith('hello', 'lo')", "TRUE"},
    {"regexp('apple', 'p+')", "TRUE"},
    {"regexp_extract('id=42', 'id=([0-9]+)', 1)", "42"},
    {"regexp_replace('a1b22', '[0-9]+', '#')", "a#b#"},
    {"split('to be  or')", "[to, be, or]"},
    {"split('a,b,,c', ',')", "[a, b, , c]"},
    {"split_index('a,b,c', ',', 1)", "b"},
    {"ARRAY[1, 2]", "[1, 2]"},
    {"MAP['a', 1]", "{a=1}"},
    {"ROW(1, 'a')", "(1, a)"},
    {"ARRAY[5, 6][2]", "6"},
    {"cardinality(ARRAY[5, 6])", "2"},
    {"array_contains(ARRAY[5, 6], 6)", "TRUE"},
    {"EXTRACT(DAY FROM DATE '2024-02-29')", "29"},
    {"year(TIMESTAMP '2024-02-29 13:14:15')", "2024"},
    {"quarter(TIMESTAMP '2024-02-29 13:14:15')", "1"},
    {"month(TIMESTAMP '2024-02-29 13:14:15')", "2"},
    {"week(TIMESTAMP '2024-02-29 13:14:15')", "9"},
    {"dayofyear(TIMESTAMP '2024-02-29 13:14:15')", "60"},
    {"dayofmonth(TIMESTAMP '2024-02-29 13:14:15')", "29"},
    {"dayofweek(TIMESTAMP '2024-02-29 13:14:15')", "5"},
    {"hour(TIMESTAMP '2024-02-29 13:14:15')", "13"},
    {"minute(TIMESTAMP '2024-02-29 13:14:15')", "14"},
    {"second(TIMESTAMP '2024-02-29 13:14:15')", "15"},
    {"FLOOR(TIMESTAMP '2024-02-29 13:14:15' TO HOUR)", "2024-02-29 13:00:00"},
    {"CEIL(DATE '2024-02-29' TO MONTH)", "2024-03-01"},
    {"timestampadd(DAY, 1, DATE '2024-02-29')", "2024-03-01"},
    {"timestampdiff(DAY, DATE '2024-02-28', DATE '2024-03-01')", "2"},
    {"date_format(TIMESTAMP '2024-02-29 13:14:15', 'yyyy/MM/dd HH:mm')", "2024/02/29 13:14"},
    {"to_timestamp('29.02.2024', 'dd.MM.yyyy')", "2024-02-29 00:00:00.000"},
    {"to_timestamp_ltz(1700000000123, 3)", "2023-11-14 22:13:20.123"},
    {"to_timestamp_ltz('2024-02-29 13:14:15')", "2024-02-29 13:14:15.000"},
    {"to_date('2024-02-29')", "2024-02-29"},
    {"unix_timestamp('1970-01-02 00:00:00')", "86400"},
    {"from_unixtime(86400)", "1970-01-02 00:00:00"},
    {"JSON_VALUE('{\"a\": {\"b\": 7}}', '$.a.b' RETURNING INT)", "7"},
    {"JSON_QUERY('{\"a\": [1, 2]}', '$.a')", "[1, 2]"},
    {"JSON_EXISTS('{\"a\": 1}', '$.b')", "FALSE"},
};

START_TEST(every_function_has_its_example_here)
{
    size_t family_count;
    const struct function_family *families = function_families(&family_count);
    for (size_t f = 0; f < family_count; f++) {
        for (size_t i = 0; i < *families[f].count; i++) {
            const struct function *function = &families[f].functions[i];
            bool found = false;
            for (size_t e = 0; e < sizeof(examples) / sizeof(examples[0]); e++)
                found |= strcmp(examples[e].text, function->example) == 0;
            if (!found)
                ck_abort_msg("the example of %s has no row in this test: %s", function->name,
                             function->example);
            ck_assert_ptr_nonnull(function->signature);
            ck_assert_ptr_nonnull(function->help);
            ck_assert_ptr_nonnull(function->result_text);
        }
    }
    GOLDEN_CHECK(examples);
}
END_TEST

START_TEST(numbers)
{
    static const struct golden goldens[] = {
        {"abs(cast(-128 as tinyint))", "-128"},
        {"abs(-2.50)", "2.50"},
        {"abs(nil)", "null"},
        {"abs('x')", "problem: abs does not take (STRING)"},
        {"sign(-2e0)", "-1.0"},
        {"sign(n)", "1"},
        {"ceil(-1.2)", "-1"},
        {"ceil(1.2e0)", "2.0"},
        {"floor(1.7)", "1"},
        {"floor(n)", "7"},
        {"round(2.5)", "3"},
        {"round(-2.5)", "-3"},
        {"round(1.005, 2) = 1.01", "TRUE"},
        {"round(125, -1)", "130"},
        {"round(-125, -1)", "-130"},
        {"round(1234.567, -2) = 1200", "TRUE"},
        {"round(n, nil)", "null"},
        {"round(5, -60)", "0"},
        {"truncate(-2.679, 2) = -2.67", "TRUE"},
        {"truncate(129, -1)", "120"},
        {"power(nil, 2)", "null"},
        {"sqrt(-1)", "NaN"},
        {"ln(0)", "-Infinity"},
        {"exp(d) > 12.18 and exp(d) < 12.19", "TRUE"},
        {"log10(0.01)", "-2.0"},
        {"log2(nil)", "null"},
    };
    GOLDEN_CHECK(goldens);
}
END_TEST

START_TEST(strings)
{
    static const struct golden goldens[] = {
        {"long || '!'", "the quick brown fox jumps over the lazy dog!"},
        {"s || nils", "null"},
        {"'a' || 1", "problem: does not take (STRING, INT)"},
        {"concat(s, ' ', long)", "Hello World the quick brown fox jumps over the lazy dog"},
        {"concat('a', nils)", "null"},
        {"concat_ws(nils, 'a')", "null"},
        {"concat_ws(',', nils, nils)", ""},
        {"lower('ÄÖÜ straße')", "äöü straße"},
        {"upper('äé')", "ÄÉ"},
        {"upper(nils)", "null"},
        {"initcap('hELLO wORLD-x')", "Hello World-X"},
        {"substring('hello' from 2 for 3)", "ell"},
        {"substring(long, 5, 20)", "quick brown fox jump"},
        {"substring(long from 41)", "dog"},
        {"substring('äöü', 2, 1)", "ö"},
        {"substring('hello', 0, 2)", "he"},
        {"substring('hello', -2, 5)", "lo"},
        {"substring('hello', -9, 2)", ""},
        {"substring('hello', 9)", ""},
        {"substring('hello', 2, -1)", ""},
        {"substring(nils, 1)", "null"},
        {"left('äöü', 2)", "äö"},
        {"left('a', -1)", ""},
        {"right('äöü', 2)", "öü"},
        {"right('a', 5)", "a"},
        {"trim('  a b ')", "a b"},
        {"trim(leading 'x' from 'xax')", "ax"},
        {"trim(trailing 'x' from 'xax')", "xa"},
        {"trim(both from ' a ')", "a"},
        {"trim('ä' from 'äaä')", "a"},
        {"ltrim('xya', 'yx')", "a"},
        {"rtrim(nils)", "null"},
        {"replace('aaa', 'aa', 'b')", "ba"},
        {"replace('abc', '', 'x')", "abc"},
        {"replace(long, 'the', 'a')", "a quick brown fox jumps over a lazy dog"},
        {"reverse('aäb')", "bäa"},
        {"repeat('ab', 0)", ""},
        {"repeat('ab', -1)", ""},
        {"repeat('ab', 100000000)", "error: longer than 16 MiB"},
        {"repeat('', 9223372036854775807)", ""},
        {"lpad('hello', 2, 'x')", "he"},
        {"lpad('a', 4, 'xy')", "xyxa"},
        {"lpad('a', -1, 'x')", "null"},
        {"lpad('a', 3, '')", "null"},
        {"rpad('a', 4, 'xy')", "axyx"},
        {"rpad('a', 100000000000, 'xy')", "error: longer than 16 MiB"},
        {"chr(228)", "ä"},
        {"chr(-1)", ""},
        {"ascii('')", "0"},
        {"char_length('äöü')", "3"},
        {"octet_length('äöü')", "6"},
        {"length(nils)", "null"},
    };
    GOLDEN_CHECK(goldens);
}
END_TEST

START_TEST(searching)
{
    static const struct golden goldens[] = {
        {"'apple' like 'a__le'", "TRUE"},
        {"'apple' like '%pp%'", "TRUE"},
        {"'apple' like 'app'", "FALSE"},
        {"'äpple' like '_pple'", "TRUE"},
        {"'' like '%'", "TRUE"},
        {"'' like '_'", "FALSE"},
        {"'50%' like '50!%' escape '!'", "TRUE"},
        {"'500' like '50!%' escape '!'", "FALSE"},
        {"'aaaaaaaaaaaaaaaaaaaab' like '%a%a%a%a%a%c'", "FALSE"},
        {"long not like '%dog'", "FALSE"},
        {"nils like '%'", "null"},
        {"s like 'a' escape 'ab'", "error: ESCAPE needs one character"},
        {"position('ö' in 'äö')", "2"},
        {"position('x' in s)", "0"},
        {"position('' in s)", "1"},
        {"locate('o', s, 6)", "8"},
        {"locate('o', s, 0)", "0"},
        {"instr(nils, 'a')", "null"},
        {"starts_with(s, '')", "TRUE"},
        {"ends_with('lo', 'hello')", "FALSE"},
    };
    GOLDEN_CHECK(goldens);
}
END_TEST

START_TEST(regular_expressions)
{
    static const struct golden goldens[] = {
        {"regexp(s, '^Hello')", "TRUE"},
        {"regexp(s, '\\d')", "FALSE"},
        {"regexp(nils, 'a')", "null"},
        {"regexp(s, '(')", "error: bad regular expression"},
        {"regexp_extract('a=1&channel_id=42&b', '(&|^)channel_id=([^&]*)', 2)", "42"},
        {"regexp_extract(long, 'q[a-z]+ (?:brown) (f\\w+)', 1)", "fox"},
        {"regexp_extract(s, 'x')", "null"},
        {"regexp_extract(s, 'l+', 1)", "null"},
        {"regexp_extract(s, 'l+', -1)", "null"},
        {"regexp_extract('äöü', '.')", "ä"},
        {"regexp_extract('ab', '(x)?b', 1)", "null"},
        {"regexp_replace(s, 'o', '0')", "Hell0 W0rld"},
        {"regexp_replace(s, '(l+)', '<$1>')", "He<ll>o Wor<l>d"},
        {"regexp_replace('abc', '', '-')", "-a-b-c-"},
        {"regexp_replace('a', 'a', '\\$1')", "$1"},
        {"regexp_replace(s, '^H', '')", "ello World"},
        {"regexp_replace('aaa', '^a', 'b')", "baa"},
        {"regexp(s, '(a)\\1')", "error: back-references"},
        {"regexp(s, 'a*?')", "error: lazy"},
        {"regexp(s, '((a{1,100}){1,100})')", "error: multiply to more than 1000"},
        {"regexp(repeat('a', 70000), 'b')", "error: too long for a regular expression"},
    };
    for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++)
        golden_check_run(&goldens[i], 1);
    static const struct golden problems[] = {
        {"regexp(s, '(')", "problem: bad regular expression"},
    };
    golden_check_compile(problems, 1);
}
END_TEST

START_TEST(collections)
{
    static const struct golden goldens[] = {
        {"array[1, 2.5, null]", "[1.0, 2.5, null]"},
        {"array[n, n + 1][2]", "8"},
        {"array[1][0]", "null"},
        {"array[1][2]", "null"},
        {"array[1][nil]", "null"},
        {"array[long, s][1]", "the quick brown fox jumps over the lazy dog"},
        {"array['a', 1]", "problem: the elements of ARRAY have no common type"},
        {"split(long)[4]", "fox"},
        {"map['a', 1, 'b', 2]['b']", "2"},
        {"map['a', 1]['x']", "null"},
        {"map['a', long]['a']", "the quick brown fox jumps over the lazy dog"},
        {"map['a', 1][2]", "problem: the keys of this MAP are STRING"},
        {"map['a']", "problem: a value for each key"},
        {"n[1]", "problem: only ARRAY and MAP have elements"},
        {"array[array[1, 2], array[3]][2][1]", "3"},
        {"cardinality(split(long))", "9"},
        {"cardinality(map['a', 1])", "1"},
        {"cardinality(split(nils))", "null"},
        {"cardinality(n)", "problem: takes an ARRAY or a MAP"},
        {"array_contains(split(long), 'fox')", "TRUE"},
        {"array_contains(split(long), 'cat')", "FALSE"},
        {"array_contains(array[1, null], nil)", "TRUE"},
        {"array_contains(array[1], nil)", "FALSE"},
        {"array_contains(split(nils), 'a')", "null"},
        {"case when t then split(long) else array['x'] end",
         "[the, quick, brown, fox, jumps, over, the, lazy, dog]"},
        {"coalesce(split(nils), split(s))", "[Hello, World]"},
        {"array[1, 2] = array[1, 2]", "TRUE"},
        {"row(1, s)", "(1, Hello World)"},
        {"row(1, s).EXPR$1", "Hello World"},
        {"row(1, s).EXPR$9", "problem: unknown field"},
    };
    GOLDEN_CHECK(goldens);
}
END_TEST

START_TEST(times)
{
    static const struct golden goldens[] = {
        {"extract(epoch from timestamp '1970-01-01 00:01:00')", "60"},
        {"extract(week from date '2021-01-01')", "53"},
        {"extract(dow from date '2024-03-03')", "1"},
        {"extract(millisecond from timestamp '2024-01-01 00:00:01.234')", "1234"},
        {"extract(century from date '2000-12-31')", "20"},
        {"extract(hour from interval '1 02:03:04' day to second)", "2"},
        {"extract(yaer from date '2024-01-01')", "problem: did you mean YEAR?"},
        {"year(date '1969-12-31')", "1969"},
        {"hour(timestamp '1969-12-31 23:00:00')", "23"},
        {"hour(nil)", "problem: needs a DATE"},
        {"hour(null)", "null"},
        {"floor(timestamp '2024-02-29 13:14:15' to week)", "2024-02-26 00:00:00"},
        {"floor(timestamp '2024-02-29 13:14:15' to quarter)", "2024-01-01 00:00:00"},
        {"floor(timestamp '1969-12-31 23:59:59.5' to minute)", "1969-12-31 23:59:00.0"},
        {"ceil(timestamp '2024-02-29 13:00:00' to hour)", "2024-02-29 13:00:00"},
        {"ceil(timestamp '2024-02-29 13:00:00.1' to hour)", "2024-02-29 14:00:00.0"},
        {"timestampadd(month, 1, timestamp '2024-01-31 10:00:00')", "2024-02-29 10:00:00"},
        {"timestampadd(hour, -1, date '2024-01-01')", "2023-12-31 23:00:00"},
        {"timestampadd(day, 9223372036854775807, date '2024-01-01')", "null"},
        {"timestampadd(day, nil, date '2024-01-01')", "null"},
        {"timestampdiff(month, date '2024-01-31', date '2024-02-29')", "1"},
        {"timestampdiff(month, date '2024-02-01', date '2024-01-02')", "0"},
        {"timestampdiff(second, timestamp '2024-01-01 00:00:00', timestamp '2024-01-01 "
         "00:01:30')",
         "90"},
        {"date_format(timestamp '2024-03-05 15:04:05.678', 'EEE, d MMM yyyy hh:mm a SSS')",
         "Tue, 5 Mar 2024 03:04 PM 678"},
        {"date_format(date '2024-03-05', 'yy''T''M')", "24T3"},
        {"date_format(timestamp '2024-03-05 15:04:05', 'Q')", "error: bad time pattern"},
        {"to_timestamp('2024-02-29 13:14:15.5')", "2024-02-29 13:14:15.500"},
        {"to_timestamp('x')", "null"},
        {"to_timestamp('2024-02-30', 'yyyy-MM-dd')", "null"},
        {"to_timestamp('5 Mar 2024 3:04 PM', 'd MMM yyyy h:mm a')", "2024-03-05 15:04:00.000"},
        {"to_timestamp(nils)", "null"},
        {"to_timestamp_ltz(1700000000, 0)", "2023-11-14 22:13:20.000"},
        {"to_timestamp_ltz(nil, 3)", "null"},
        {"to_timestamp_ltz(9223372036854775807, 3)", "null"},
        {"to_timestamp_ltz(1, 5)", "error: precision has to be"},
        {"to_date('31/12/2023', 'dd/MM/yyyy')", "2023-12-31"},
        {"to_date('x')", "null"},
        {"unix_timestamp('01.01.1970', 'dd.MM.yyyy')", "0"},
        {"unix_timestamp()", "problem: not available"},
        {"current_timestamp", "problem: not available"},
        {"now()", "problem: not available"},
        {"from_unixtime(0, 'HH:mm')", "00:00"},
        {"from_unixtime(9223372036854775807)", "null"},
        {"from_unixtime(nil)", "null"},
    };
    for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++)
        golden_check_run(&goldens[i], 1);
}
END_TEST

START_TEST(json)
{
    static const struct golden goldens[] = {
        {"json_value('{\"a\": \"x\\u00e4\\n\"}', '$.a')", "x\u00e4\n"},
        {"json_value('{\"a\": \"\\ud83d\\ude00\"}', '$.a')", "\U0001F600"},
        {"json_value('{\"a\": \"\\ud83d\"}', '$.a')", "\uFFFD"},
        {"json_value('{\"a\": [1, {\"b\": true}]}', '$.a[1].b')", "true"},
        {"json_value('{\"a\": [1, {\"b\": true}]}', '$.a[1].b' returning boolean)", "TRUE"},
        {"json_value('{\"a b\": 1.50}', '$[''a b'']')", "1.50"},
        {"json_value('{\"a\": \"long enough to be shared\"}', 'lax $.a')",
         "long enough to be shared"},
        {"json_value('{\"a\": 1, \"a\": 2}', '$.a')", "2"},
        {"json_value('{\"a\": null}', '$.a')", "null"},
        {"json_value('{\"a\": {}}', '$.a')", "null"},
        {"json_value('{\"a\": 1', '$.a')", "null"},
        {"json_value('{\"a\": 01}', '$.a')", "null"},
        {"json_value('', '$.a')", "null"},
        {"json_value('7', '$')", "7"},
        {"json_value(nils, '$.a')", "null"},
        {"json_value('{\"a\": \"x\"}', '$.a' returning int)", "null"},
        {"json_value('{}', 'a')", "error: has to begin with $"},
        {"json_query('{\"a\": {\"b\": [1,  2]}}', '$.a.b')", "[1,  2]"},
        {"json_query('{\"a\": 1}', '$.a')", "null"},
        {"json_exists('{\"a\": null}', '$.a')", "TRUE"},
        {"json_exists('[1, 2]', '$[2]')", "FALSE"},
        {"json_exists('x', '$')", "FALSE"},
        {"json_exists(nils, '$')", "null"},
        {"json_value(repeat('[', 1000), '$[0]')", "null"},
    };
    for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++)
        golden_check_run(&goldens[i], 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("functions");
    TCase *tests = tcase_create("golden");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, every_function_has_its_example_here);
    tcase_add_test(tests, numbers);
    tcase_add_test(tests, strings);
    tcase_add_test(tests, searching);
    tcase_add_test(tests, regular_expressions);
    tcase_add_test(tests, collections);
    tcase_add_test(tests, times);
    tcase_add_test(tests, json);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
