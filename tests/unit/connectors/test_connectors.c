/* datagen, socket, print, blackhole: through their hooks, against what is on the other side. */
#include "tests/kit/connector_kit.h"

#include "common/base/allocate.h"
#include "connectors/registry.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct source_connector *source(const char *name)
{
    return source_connector_find(connector_registry_builtin(), name);
}

static const struct sink_connector *sink(const char *name)
{
    return sink_connector_find(connector_registry_builtin(), name);
}

static void append_rows(const struct batch *batch, struct text *out)
{
    for (uint32_t row = 0; row < batch->row_count; row++) {
        batch_format_row(batch, row, out);
        text_append_char(out, '\n');
    }
}

static void *open_source(struct connector_kit *kit, const char *name,
                         const struct split_list *splits)
{
    struct error err;
    void *reader = allocate(source(name)->reader.instance_size);
    ck_assert_msg(source(name)->reader.open(reader, &kit->env,
                                            format_find(connector_registry_builtin(), "raw"),
                                            &err) == STATUS_OK,
                  "%s", err.message);
    ck_assert_int_eq(source(name)->reader.add_splits(reader, splits, &err), STATUS_OK);
    return reader;
}

static void close_source(const char *name, void *reader)
{
    source(name)->reader.close(reader);
    free(reader);
}

/* ---- datagen ---- */

static struct connector_kit *make_datagen(const char *rate)
{
    return connector_kit_create(
        kit_schema("n BIGINT, w STRING, k INT, x DOUBLE, b BOOLEAN, d DATE, m DECIMAL(3,1), "
                   "t TIMESTAMP(3)"),
        KIT_INLINE, "connector.rows", "3000", "connector.rate", rate, "connector.seed", "7",
        "connector.fields.n.kind", "sequence", "connector.fields.n.min", "5",
        "connector.fields.w.length", "20", "connector.fields.w.distinct", "10",
        "connector.fields.k.max", "99", NULL);
}

static void read_datagen(uint32_t subtask, bool restore_each, struct text *out)
{
    struct connector_kit *kit = make_datagen("0");
    kit->env.parallelism = 2;
    kit->env.subtask_index = subtask;
    struct split_list splits = {0};
    split_list_add(&splits, "0", NULL, 0);
    void *reader = open_source(kit, "datagen", &splits);
    split_list_done(&splits);
    for (;;) {
        struct batch *batch = NULL;
        const enum poll poll = source("datagen")->reader.poll(reader, &kit->emitter, &batch, NULL);
        if (poll == POLL_NEED_SPLITS)
            break;
        ck_assert_int_eq(poll, POLL_BATCH);
        append_rows(batch, out);
        batch_unref(batch);
        if (restore_each) {
            ck_assert_int_eq(source("datagen")->reader.snapshot(reader, &splits, NULL), STATUS_OK);
            close_source("datagen", reader);
            reader = open_source(kit, "datagen", &splits);
            split_list_done(&splits);
        }
    }
    close_source("datagen", reader);
    connector_kit_destroy(kit);
}

START_TEST(datagen_makes_the_same_rows_again)
{
    struct text once;
    struct text again;
    text_init(&once, 1 << 22);
    text_init(&again, 1 << 22);
    read_datagen(0, false, &once);
    read_datagen(0, true, &again);
    ck_assert_str_eq(once.bytes, again.bytes);
    unsigned lines = 0;
    for (const char *at = once.bytes; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    ck_assert_uint_eq(lines, 1500);
    ck_assert(memcmp(once.bytes, "+I[5, ", 6) == 0);
    ck_assert_ptr_nonnull(strstr(once.bytes, "\n+I[7, "));
    text_clear(&again);
    read_datagen(1, false, &again);
    ck_assert(memcmp(again.bytes, "+I[6, ", 6) == 0);
    text_done(&once);
    text_done(&again);
}
END_TEST

START_TEST(datagen_keeps_its_rate)
{
    struct connector_kit *kit = make_datagen("1000");
    struct split_list splits = {0};
    split_list_add(&splits, "0", NULL, 0);
    void *reader = open_source(kit, "datagen", &splits);
    split_list_done(&splits);
    for (;;) {
        struct batch *batch = NULL;
        const enum poll poll = source("datagen")->reader.poll(reader, &kit->emitter, &batch, NULL);
        if (poll == POLL_NEED_SPLITS)
            break;
        if (poll == POLL_IDLE)
            kit->clock.us = source("datagen")->reader.next_wake_us(reader);
        batch_unref(batch);
    }
    ck_assert_int_ge(kit->clock.us, 2900000);
    ck_assert_int_le(kit->clock.us, 3100000);
    close_source("datagen", reader);
    connector_kit_destroy(kit);
}
END_TEST

START_TEST(datagen_names_bad_options)
{
    static const char *const bad[][2] = {{"connector.fields.z.min", "1"},
                                         {"connector.fields.k.max", "3000000000"},
                                         {"connector.fields.k.mix", "1"}};
    for (size_t i = 0; i < 3; i++) {
        struct connector_kit *kit =
            connector_kit_create(kit_schema("k INT"), KIT_INLINE, bad[i][0], bad[i][1], NULL);
        void *reader = allocate(source("datagen")->reader.instance_size);
        struct error err;
        ck_assert_int_eq(source("datagen")->reader.open(reader, &kit->env, NULL, &err),
                         STATUS_INVALID);
        ck_assert_ptr_nonnull(strstr(err.message, i == 0 ? "fields.z" : "fields.k"));
        close_source("datagen", reader);
        connector_kit_destroy(kit);
    }
}
END_TEST

/* ---- socket ---- */

static int listen_on_loopback(char address[static 32])
{
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(name);
    ck_assert_int_eq(bind(server, (struct sockaddr *)&name, size), 0);
    ck_assert_int_eq(listen(server, 4), 0);
    ck_assert_int_eq(getsockname(server, (struct sockaddr *)&name, &size), 0);
    (void)snprintf(address, 32, "127.0.0.1:%u", ntohs(name.sin_port));
    return server;
}

static void send_text(int server, const char *text)
{
    const int client = accept(server, NULL, NULL);
    ck_assert_int_ge(client, 0);
    ck_assert_int_eq(send(client, text, strlen(text), 0), (ssize_t)strlen(text));
    close(client);
}

START_TEST(socket_source_reads_lines_and_reconnects)
{
    char address[32];
    const int server = listen_on_loopback(address);
    struct connector_kit *kit = connector_kit_create(kit_schema("line STRING"), KIT_THREAD,
                                                     "connector.address", address, NULL);
    struct split_list splits = {0};
    split_list_add(&splits, "0", NULL, 0);
    void *reader = open_source(kit, "socket", &splits);
    split_list_done(&splits);
    send_text(server, "one\ntwo");
    send_text(server, "three\n");
    struct text out;
    text_init(&out, 1000);
    while (strstr(out.bytes, "three") == NULL) {
        struct batch *batch = NULL;
        const enum poll poll = source("socket")->reader.poll(reader, &kit->emitter, &batch, NULL);
        ck_assert(poll == POLL_BATCH || poll == POLL_IDLE);
        if (poll == POLL_IDLE)
            connector_kit_wait(kit);
        else
            append_rows(batch, &out);
        batch_unref(batch);
    }
    ck_assert_ptr_nonnull(strstr(out.bytes, "+I[one]\n+I[two]\n"));
    text_done(&out);
    close_source("socket", reader);
    /* The thread notices within a tenth of a second; its memory is its own. */
    (void)usleep(300000);
    connector_kit_destroy(kit);
    close(server);
}
END_TEST

START_TEST(socket_source_knows_only_that_it_is_not_connected)
{
    char address[32];
    const int server = listen_on_loopback(address);
    struct connector_kit *kit = connector_kit_create(kit_schema("line STRING"), KIT_THREAD,
                                                     "connector.address", address, NULL);
    struct split_list splits = {0};
    split_list_add(&splits, "0", NULL, 0);
    const struct reader_ops *ops = &source("socket")->reader;
    void *reader = open_source(kit, "socket", &splits);
    split_list_done(&splits);
    while (ops->split_status(reader, 0) != SPLIT_UNKNOWN) {
        ck_assert_int_eq(ops->split_status(reader, 0), SPLIT_UNREACHABLE);
        connector_kit_wait(kit);
    }
    const int client = accept(server, NULL, NULL);
    close(server);
    close(client);
    for (;;) {
        struct batch *batch = NULL;
        const enum poll poll = ops->poll(reader, &kit->emitter, &batch, NULL);
        batch_unref(batch);
        if (poll == POLL_IDLE && ops->split_status(reader, 0) == SPLIT_UNREACHABLE)
            break;
        if (poll == POLL_IDLE)
            connector_kit_wait(kit);
    }
    close_source("socket", reader);
    (void)usleep(300000);
    connector_kit_destroy(kit);
}
END_TEST

static struct batch *words(struct connector_kit *kit, uint32_t count)
{
    struct batch_builder builder;
    batch_builder_init(&builder, kit->output.schema, NULL);
    for (uint32_t i = 0; i < count; i++) {
        char word[40];
        const int size = snprintf(word, sizeof(word), "a word that is long %u", i);
        batch_builder_bytes(&builder, 0, word, (size_t)size);
        batch_builder_end_row(&builder, ROW_INSERT);
    }
    struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    return batch;
}

static void *open_sink(struct connector_kit *kit, const char *name)
{
    struct error err;
    void *writer = allocate(sink(name)->writer.instance_size);
    ck_assert_msg(sink(name)->writer.open(writer, &kit->env,
                                          format_find(connector_registry_builtin(), "raw"),
                                          &err) == STATUS_OK,
                  "%s", err.message);
    return writer;
}

static void write_all(struct connector_kit *kit, const char *name, void *writer,
                      struct batch *batch)
{
    struct error err;
    enum step step = STEP_WAIT;
    while ((step = sink(name)->writer.write(writer, batch, &kit->emitter, &err)) == STEP_WAIT)
        connector_kit_wait(kit);
    ck_assert_int_eq(step, STEP_DONE);
    while ((step = sink(name)->writer.before_barrier(writer, &err)) == STEP_WAIT)
        connector_kit_wait(kit);
    ck_assert_int_eq(step, STEP_DONE);
}

START_TEST(socket_sink_sends_lines)
{
    char address[32];
    const int server = listen_on_loopback(address);
    struct connector_kit *kit = connector_kit_create(kit_schema("word STRING"), KIT_THREAD,
                                                     "connector.address", address, NULL);
    void *writer = open_sink(kit, "socket");
    struct batch *batch = words(kit, 3);
    write_all(kit, "socket", writer, batch);
    const int client = accept(server, NULL, NULL);
    char bytes[200] = "";
    size_t size = 0;
    while (size < 66) {
        const ssize_t count = recv(client, bytes + size, sizeof(bytes) - 1 - size, 0);
        ck_assert_int_gt(count, 0);
        size += (size_t)count;
    }
    ck_assert_str_eq(bytes,
                     "a word that is long 0\na word that is long 1\na word that is long 2\n");
    batch_unref(batch);
    sink("socket")->writer.close(writer);
    free(writer);
    (void)usleep(300000);
    connector_kit_destroy(kit);
    close(client);
    close(server);
}
END_TEST

START_TEST(bad_addresses_are_refused)
{
    static const char *const bad[] = {"host",       "host:",  ":1",     "host:0",
                                      "host:70000", "::1:80", "host:1x"};
    for (size_t i = 0; i < 7; i++) {
        struct connector_kit *kit = connector_kit_create(kit_schema("word STRING"), KIT_INLINE,
                                                         "connector.address", bad[i], NULL);
        void *writer = allocate(sink("socket")->writer.instance_size);
        struct error err;
        ck_assert_int_eq(
            sink("socket")->writer.open(writer, &kit->env,
                                        format_find(connector_registry_builtin(), "raw"), &err),
            STATUS_INVALID);
        sink("socket")->writer.close(writer);
        free(writer);
        connector_kit_destroy(kit);
    }
}
END_TEST

/* ---- print, blackhole ---- */

START_TEST(print_waits_for_a_stuck_pipe_without_blocking)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    (void)fflush(stdout);
    const int saved = dup(STDOUT_FILENO);
    (void)dup2(ends[1], STDOUT_FILENO);
    struct connector_kit *kit =
        connector_kit_create(kit_schema("word STRING"), KIT_THREAD, "connector", "print", NULL);
    void *writer = open_sink(kit, "print");
    struct batch *batch = words(kit, 4000);
    struct error err;
    /* Nobody reads: the pipe and both buffers fill, then the call says so and returns. */
    enum step step = STEP_DONE;
    unsigned calls = 0;
    while (step == STEP_DONE && calls++ < 100)
        step = sink("print")->writer.write(writer, batch, &kit->emitter, &err);
    ck_assert_int_eq(step, STEP_WAIT);
    struct text out;
    text_init(&out, 1 << 24);
    char part[65536];
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    /* The batch that waits goes on, then everything is drained. */
    bool is_written = false;
    for (;;) {
        const ssize_t count = read(ends[0], part, sizeof(part));
        if (count > 0)
            text_append_bytes(&out, part, (size_t)count);
        if (!is_written)
            is_written =
                sink("print")->writer.write(writer, batch, &kit->emitter, &err) == STEP_DONE;
        else if (sink("print")->writer.before_barrier(writer, &err) == STEP_DONE && count < 0)
            break;
    }
    (void)dup2(saved, STDOUT_FILENO);
    close(saved);
    ck_assert(memcmp(out.bytes, "node/0> +I[a word that is long 0]\n", 34) == 0);
    size_t lines = 0;
    for (size_t i = 0; i < out.size; i++)
        lines += out.bytes[i] == '\n';
    ck_assert_uint_eq(lines % 4000, 0);
    ck_assert_uint_eq(lines / 4000, calls);
    text_done(&out);
    batch_unref(batch);
    sink("print")->writer.close(writer);
    free(writer);
    connector_kit_destroy(kit);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(blackhole_takes_everything)
{
    struct connector_kit *kit =
        connector_kit_create(kit_schema("word STRING"), KIT_INLINE, "connector", "blackhole", NULL);
    void *writer = open_sink(kit, "blackhole");
    struct batch *batch = words(kit, 100);
    ck_assert_int_eq(sink("blackhole")->writer.write(writer, batch, &kit->emitter, NULL),
                     STEP_DONE);
    batch_unref(batch);
    sink("blackhole")->writer.close(writer);
    free(writer);
    connector_kit_destroy(kit);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connectors");
    TCase *cases = tcase_create("connectors");
    tcase_set_timeout(cases, 30);
    tcase_add_test(cases, datagen_makes_the_same_rows_again);
    tcase_add_test(cases, datagen_keeps_its_rate);
    tcase_add_test(cases, datagen_names_bad_options);
    tcase_add_test(cases, socket_source_reads_lines_and_reconnects);
    tcase_add_test(cases, socket_source_knows_only_that_it_is_not_connected);
    tcase_add_test(cases, socket_sink_sends_lines);
    tcase_add_test(cases, bad_addresses_are_refused);
    tcase_add_test(cases, print_waits_for_a_stuck_pipe_without_blocking);
    tcase_add_test(cases, blackhole_takes_everything);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
