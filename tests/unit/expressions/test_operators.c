/* Golden tests: literals, arithmetic, comparison, logic, conditions, casts. */
#include "tests/kit/expressions/golden.h"

#include <check.h>
#include <stdlib.h>

START_TEST(literals)
{
    static const struct golden goldens[] = {
        {"1", "1"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"9223372036854775808", "9223372036854775808"},
        {"1.50", "1.50"},
        {".5", "0.5"},
        {"1e3", "1000.0"},
        {"'it''s'", "it's"},
        {"''", ""},
        {"TRUE", "TRUE"},
        {"cast(null as int)", "null"},
        {"null", "problem: type of NULL"},
        {"date '2024-02-29'", "2024-02-29"},
        {"date '2023-02-29'", "problem: is no DATE"},
        {"time '10:00:01.5'", "10:00:01.5"},
        {"timestamp '2024-01-31 10:00:00.123'", "2024-01-31 10:00:00.123"},
        {"interval '1' hour = interval '60' minute", "TRUE"},
        {"interval '1 02:03:04.5' day to second = interval '93784.5' second", "TRUE"},
        {"interval '1-6' year to month = interval '18' month", "TRUE"},
        {"interval '1' week = interval -'-7' day", "TRUE"},
        {"interval '1x' hour", "problem: is no interval"},
        {"n", "7"},
        {"\"s\"", "Hello World"},
        {"`long`", "the quick brown fox jumps over the lazy dog"},
    };
    GOLDEN_CHECK(goldens);
}
END_TEST

START_TEST(arithmetic)
{
    static const struct golden goldens[] = {
        {"1 + 2 * 3 - 4 / 2", "5"},
        {"(1 + 2) * 3", "9"},
        {"2147483647 + 1", "-2147483648"},
        {"9223372036854775807 + n", "-9223372036854775802"},
        {"cast(100 as tinyint) + cast(100 as tinyint)", "-56"},
        {"cast(200 as smallint) * cast(200 as smallint)", "-25536"},
        {"7 / 2", "3"},
        {"-7 / 2", "-3"},
        {"-7 % 3", "-1"},
        {"mod(7, 3)", "1"},
        {"mod(n, 0)", "error: division by zero"},
        {"n / 0", "error: division by zero in n / 0 where n is 7"},
        {"n / (n - 7)", "error: division by zero in n / (n - 7) where n is 7, (n - 7) is 0"},
        {"(-2147483647 - 1) / -1", "-2147483648"},
        {"(-2147483647 - 1) % -1", "0"},
        {"1e0 / 0", "Infinity"},
        {"5.5 % 2", "1.5"},
        {"nil + 1", "null"},
        {"null + n", "null"},
        {"nil / 0", "null"},
        {"- (1 + 2)", "-3"},
        {"- n", "-7"},
        {"-(1.5)", "-1.5"},
        {"-d", "-2.5"},
        {"1.25 + 1", "2.25"},
        {"1.5 * 2.25", "3.375"},
        {"1.0 / 3", "0.333333333333"},
        {"cast(10 as decimal(12, 2)) / 100", "0.1000000000000"},
        {"2.5 * d", "6.25"},
        {"99999999999999999999999999999999999999 + 1", "null"},
        {"99999999999999999999999999999999999999 * 10", "null"},
        {"cast(1 as decimal(38, 10)) * cast(2 as decimal(38, 10))", "2.000000"},
        {"1.5 / 0", "error: division by zero"},
        {"'a' + 1", "problem: strings are joined by ||"},
        {"1 - '1'", "problem: needs numbers"},
        {"true * 2", "problem: needs numbers"},
        {"timestamp '2024-01-31 10:00:00' + interval '1' month", "2024-02-29 10:00:00"},
        {"interval '1' day + date '2024-02-28'", "2024-02-29 00:00:00.000000"},
        {"date '2024-03-31' - interval '1' month", "2024-02-29"},
        {"timestamp '2024-01-01 00:00:00' - interval '4' second", "2023-12-31 23:59:56"},
        {"timestamp '2024-01-02 00:00:00' - timestamp '2024-01-01 00:00:00' = interval '1' day",
         "TRUE"},
        {"interval '1' hour * 3 = interval '3' hour", "TRUE"},
        {"interval '1' hour + interval '1' month", "problem: not defined"},
        {"time '23:00:00' + interval '2' hour", "01:00:00"},
    };
    GOLDEN_CHECK(goldens);
}
END_TEST

START_TEST(comparison)
{
    static const struct golden goldens[] = {
        {"1 = 1.0", "TRUE"},
        {"n <> 7", "FALSE"},
        {"n != 8", "TRUE"},
        {"n < 7", "FALSE"},
        {"n <= 7", "TRUE"},
        {"n > 6.99", "TRUE"},
        {"n >= d", "TRUE"},
        {"'abc' = 'abc'", "TRUE"},
        {"s = 'Hello World'", "TRUE"},
        {"s <> ''", "TRUE"},
        {"long = 'the quick brown fox jumps over the lazy dog'", "TRUE"},
        {"long <> 'the quick brown fox jumps over the lazy dot'", "TRUE"},
        {"'ab' < 'abc'", "TRUE"},
        {"'b' >= 'a'", "TRUE"},
        {"'z' > 'a'", "TRUE"},
        {"'z' <= 'a'", "FALSE"},
        {"1 = null", "null"},
        {"nil = nil", "null"},
        {"timestamp '2024-01-01 00:00:00' = '2024-01-01 00:00:00'", "TRUE"},
        {"date '2024-01-01' < timestamp '2024-01-01 00:00:00.5'", "TRUE"},
        {"n = 'x'", "problem: have no common type"},
        {"nil is distinct from 1", "TRUE"},
        {"nil is distinct from null", "FALSE"},
        {"1 is not distinct from 1", "TRUE"},
        {"1 is not distinct from nil", "FALSE"},
        {"n between 1 and 7", "TRUE"},
        {"n not between 1 and 7", "FALSE"},
        {"n between 8 and nil", "FALSE"},
        {"n between 1 and nil", "null"},
        {"null between 1 and n", "null"},
        {"case null when n then 1 else 2 end", "2"},
        {"n in (1, 7)", "TRUE"},
        {"n not in (1, 2)", "TRUE"},
        {"n in (1, null)", "null"},
        {"n in (7, null)", "TRUE"},
        {"nil in (1)", "null"},
        {"s in ('a', 'Hello World')", "TRUE"},
        {"greatest(1, 3.5, 2)", "3.5"},
        {"greatest('a', long, 'b')", "the quick brown fox jumps over the lazy dog"},
        {"least(n, 3)", "3"},
        {"least(n, nil)", "null"},
    };
    GOLDEN_CHECK(goldens);
}
END_TEST

START_TEST(logic_has_three_values)
{
    static const struct golden goldens[] = {
        {"true and true", "TRUE"},
        {"true and false", "FALSE"},
        {"true and nilt", "null"},
        {"false and nilt", "FALSE"},
        {"nilt and true", "null"},
        {"nilt and false", "FALSE"},
        {"nilt and nilt", "null"},
        {"false or false", "FALSE"},
        {"false or t", "TRUE"},
        {"true or nilt", "TRUE"},
        {"nilt or true", "TRUE"},
        {"nilt or false", "null"},
        {"nilt or nilt", "null"},
        {"not t", "FALSE"},
        {"not nilt", "null"},
        {"not not t", "TRUE"},
        {"nilt is null", "TRUE"},
        {"null is null", "TRUE"},
        {"n is not null", "TRUE"},
        {"t is true", "TRUE"},
        {"nilt is true", "FALSE"},
        {"nilt is not true", "TRUE"},
        {"t is false", "FALSE"},
        {"nilt is not false", "TRUE"},
        {"nilt is unknown", "TRUE"},
        {"t is not unknown", "TRUE"},
        {"false and n / 0 = 1", "FALSE"},
        {"n = 0 and 1 / n = 1", "FALSE"},
        {"true or n / 0 = 1", "TRUE"},
        {"nilt and n / 0 = 1", "error: division by zero"},
        {"1 and true", "problem: AND needs BOOLEAN, not INT"},
    };
    GOLDEN_CHECK(goldens);
}
END_TEST

START_TEST(conditions_compute_what_is_taken)
{
    static const struct golden goldens[] = {
        {"case when n > 5 then 'big' else 'small' end", "big"},
        {"case when n = 7 then 1 else 1 / (n - 7) end", "1"},
        {"case when n = 8 then 1 end", "null"},
        {"case n when 1 then 'one' when 7 then 'seven' end", "seven"},
        {"case n when 1 then 'one' when nil then 'nil' else long end",
         "the quick brown fox jumps over the lazy dog"},
        {"case when nilt then 1 else 2.5 end", "2.5"},
        {"case when n / 0 = 1 then 1 else 2 end", "error: division by zero"},
        {"case when t then 1 else 'x' end", "problem: no common type"},
        {"if(t, 'yes', 'no')", "yes"},
        {"if(nilt, 'yes', 'no')", "no"},
        {"if(t, 1)", "problem: 3 arguments"},
        {"coalesce(nil, null, 3)", "3"},
        {"coalesce(n, 1 / 0)", "7"},
        {"coalesce(nil, n / 0)", "error: division by zero"},
        {"coalesce(nil, nil)", "null"},
        {"ifnull(nils, 'x')", "x"},
        {"nullif(n, 7)", "null"},
        {"nullif(n, 8)", "7"},
        {"nullif(s, nils)", "Hello World"},
    };
    GOLDEN_CHECK(goldens);
}
END_TEST

START_TEST(casts)
{
    static const struct golden goldens[] = {
        {"cast('12' as int)", "12"},
        {"cast(' 12 ' as int)", "12"},
        {"cast('12.7' as int)", "12"},
        {"cast('abc' as int)", "error: not a valid INT"},
        {"cast(s as int)", "error: not a valid INT in cast(s as int) where s is 'Hello World'"},
        {"try_cast(s as int)", "null"},
        {"cast('2147483648' as int)", "error: not a valid INT"},
        {"try_cast('2147483648' as bigint)", "2147483648"},
        {"cast(4294967297 as int)", "1"},
        {"cast(2.9 as int)", "2"},
        {"cast(-2.9e0 as bigint)", "-2"},
        {"cast(1e300 as int)", "2147483647"},
        {"cast(1e300 as decimal(10, 2))", "null"},
        {"cast(n as string)", "7"},
        {"cast(t as string)", "TRUE"},
        {"cast(d as varchar(2))", "2."},
        {"cast('ab' as char(4)) = 'ab  '", "TRUE"},
        {"cast(1.005 as decimal(10, 2))", "1.01"},
        {"cast(-1.005 as decimal(10, 2))", "-1.01"},
        {"cast('123.456' as decimal(5, 1))", "123.5"},
        {"cast('12345.6' as decimal(5, 1))", "null"},
        {"cast('x' as decimal(5, 1))", "error: not a valid"},
        {"cast(0.1e0 as decimal(20, 18))", "0.100000000000000000"},
        {"cast('true' as boolean)", "TRUE"},
        {"cast(0 as boolean)", "FALSE"},
        {"cast(t as int)", "1"},
        {"cast('2024-01-31' as date)", "2024-01-31"},
        {"cast('2024-01-31 10:00:00.9' as timestamp(0))", "2024-01-31 10:00:00"},
        {"cast(timestamp '2024-01-31 10:00:00' as date)", "2024-01-31"},
        {"cast(date '2024-01-31' as timestamp(3))", "2024-01-31 00:00:00.000"},
        {"cast(timestamp '2024-01-31 10:00:00.123456789' as timestamp(3))",
         "2024-01-31 10:00:00.123"},
        {"cast('2024-01-31T10:00:00+02:00' as timestamp_ltz(3))", "2024-01-31 08:00:00.000"},
        {"cast('2024-13-01' as date)", "error: not a valid DATE"},
        {"cast('x' as bytes)", "x"},
        {"cast(n as date)", "problem: no cast from BIGINT to DATE"},
        {"cast(n as strnig)", "problem: did you mean STRING"},
        {"cast(n as decimal(40, 2))", "problem: from 1 to 38"},
        {"cast(n as decimal(3, 4))", "problem: larger than the precision"},
    };
    GOLDEN_CHECK(goldens);
}
END_TEST

START_TEST(splitting)
{
    static const struct golden goldens[] = {
        {"split('to be  or')", "[to, be, or]"},
        {"split('')", "[]"},
        {"split(' \t\n')", "[]"},
        {"split(nils)", "null"},
        {"split(long)", "[the, quick, brown, fox, jumps, over, the, lazy, dog]"},
        {"split('a_word_of_many_characters is one')", "[a_word_of_many_characters, is, one]"},
        {"split('a,b,,c', ',')", "[a, b, , c]"},
        {"split(long, ' the ')", "[the quick brown fox jumps over, lazy dog]"},
        {"split('abc', '')", "[abc]"},
        {"split_index('a,b,c', ',', 1)", "b"},
        {"split_index('a,b,c', ',', 3)", "null"},
        {"split_index('a,b,c', ',', -1)", "null"},
        {"split_index(long, ' ', 8)", "dog"},
        {"split(1)", "problem: does not take (INT)"},
    };
    GOLDEN_CHECK(goldens);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("operators");
    TCase *tests = tcase_create("golden");
    tcase_add_test(tests, literals);
    tcase_add_test(tests, arithmetic);
    tcase_add_test(tests, comparison);
    tcase_add_test(tests, logic_has_three_values);
    tcase_add_test(tests, conditions_compute_what_is_taken);
    tcase_add_test(tests, casts);
    tcase_add_test(tests, splitting);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
