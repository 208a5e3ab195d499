/* The list of what is wrong with a job: see compile.h. */
#include "common/base/allocate.h"
#include "compiler/compiler.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_BYTES_MAX 2000

__attribute__((format(printf, 5, 0))) static void add(struct compiler *compiler, bool is_warning,
                                                      uint32_t line, uint32_t column,
                                                      const char *format, va_list args)
{
    struct compile_report *report = compiler->report;
    char message[MESSAGE_BYTES_MAX];
    (void)vsnprintf(message, sizeof(message), format, args);
    if (!is_warning)
        report->error_count++;
    for (size_t i = 0; i < report->count; i++) {
        const struct compile_problem *known = &report->problems[i];
        if (known->line == line && known->column == column && strcmp(known->message, message) == 0)
            return;
    }
    if (report->count >= COMPILE_PROBLEMS_MAX)
        return;
    array_push(report->problems, report->count, report->capacity) = (struct compile_problem){
        .is_warning = is_warning, .line = line, .column = column, .message = copy_text(message)};
}

void compile_error(struct compiler *compiler, uint32_t line, uint32_t column, const char *format,
                   ...)
{
    va_list args;
    va_start(args, format);
    add(compiler, false, line, column, format, args);
    va_end(args);
}

void compile_warning(struct compiler *compiler, uint32_t line, uint32_t column, const char *format,
                     ...)
{
    va_list args;
    va_start(args, format);
    add(compiler, true, line, column, format, args);
    va_end(args);
}

static int compare(const void *left, const void *right)
{
    const struct compile_problem *a = left;
    const struct compile_problem *b = right;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return strcmp(a->message, b->message);
}

void compile_report_sort(struct compile_report *report)
{
    if (report->count > 1)
        qsort(report->problems, report->count, sizeof(*report->problems), compare);
}

void compile_report_done(struct compile_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        free(report->problems[i].message);
    free(report->problems);
    *report = (struct compile_report){0};
}

void compile_report_format(const struct compile_report *report, const char *file_name,
                           struct text *out)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct compile_problem *problem = &report->problems[i];
        text_append(out, file_name);
        if (problem->line > 0)
            text_format(out, ":%u:%u", problem->line, problem->column);
        text_format(out, ": %s: %s\n", problem->is_warning ? "warning" : "error", problem->message);
    }
}
