/* Records of the job store: as they are, and with header and checksum made right. */
#include "tests/fuzz/fuzz.h"

#include "common/base/allocate.h"
#include "jobmanager/checkpoint/record_header.h"
#include "jobmanager/core/job_store_format.h"

/* Both decoded texts, encoded twice, must be the same. */
struct pair {
    struct text first;
    struct text second;
};

static void check_job(const void *bytes, size_t size, struct pair *pair)
{
    static struct stored_job job;
    static struct stored_job again;
    struct error err = {0};
    const enum status code = stored_job_decode(bytes, size, "record", &job, &err);
    if (code != STATUS_OK) {
        fuzz_check_error(code, &err);
        return;
    }
    stored_job_encode(&job, "1.0", &pair->first);
    CHECK(stored_job_decode(pair->first.bytes, pair->first.size, "record", &again, &err) ==
          STATUS_OK);
    stored_job_encode(&again, "1.0", &pair->second);
    stored_job_done(&job);
    stored_job_done(&again);
}

static void check_graph(const void *bytes, size_t size, struct pair *pair)
{
    struct stored_graph graph = {0};
    struct stored_graph again = {0};
    struct error err = {0};
    const enum status code = stored_graph_decode(bytes, size, "record", &graph, &err);
    if (code != STATUS_OK) {
        fuzz_check_error(code, &err);
        return;
    }
    stored_graph_encode(&graph, "1.0", &pair->first);
    CHECK(stored_graph_decode(pair->first.bytes, pair->first.size, "record", &again, &err) ==
          STATUS_OK);
    stored_graph_encode(&again, "1.0", &pair->second);
    free(graph.graph);
    free(again.graph);
}

static void check_cluster(const void *bytes, size_t size, struct pair *pair)
{
    struct stored_cluster cluster = {0};
    struct stored_cluster again = {0};
    struct error err = {0};
    const enum status code = stored_cluster_decode(bytes, size, "record", &cluster, &err);
    if (code != STATUS_OK) {
        fuzz_check_error(code, &err);
        return;
    }
    stored_cluster_encode(&cluster, "1.0", &pair->first);
    CHECK(stored_cluster_decode(pair->first.bytes, pair->first.size, "record", &again, &err) ==
          STATUS_OK);
    stored_cluster_encode(&again, "1.0", &pair->second);
    free(cluster.cluster_id);
    free(again.cluster_id);
}

typedef void check_fn(const void *bytes, size_t size, struct pair *pair);

static void check_both(check_fn *check, const char *magic, const uint8_t *bytes, size_t size)
{
    SCOPED_TEXT_BUFFER struct text sealed;
    text_init(&sealed, JOB_STORE_RECORD_MAX);
    record_seal(magic, JOB_STORE_FORMAT, "1.0", bytes, size, &sealed);
    for (int i = 0; i < 2; i++) {
        struct pair pair;
        text_init(&pair.first, JOB_STORE_RECORD_MAX);
        text_init(&pair.second, JOB_STORE_RECORD_MAX);
        check(i == 0 ? (const char *)bytes : sealed.bytes, i == 0 ? size : sealed.size, &pair);
        fuzz_check_equal(pair.first.bytes, pair.first.size, pair.second.bytes, pair.second.size);
        text_done(&pair.first);
        text_done(&pair.second);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    check_both(check_job, "MSJOBST1", bytes, size);
    check_both(check_graph, "MSGRAPH1", bytes, size);
    check_both(check_cluster, "MSCLUST1", bytes, size);
    return 0;
}

static void give_both(fuzz_seed_fn *give, void *context, const char *name,
                      const struct text *record)
{
    SCOPED_TEXT char *payload = format_text("%s-payload", name);
    give(context, name, record->bytes, record->size);
    give(context, payload, record->bytes + RECORD_HEADER_BYTES, record->size - RECORD_HEADER_BYTES);
}

void fuzz_make_seeds(fuzz_seed_fn *give, void *context)
{
    static struct stored_job job = {.job = {{{1}}},
                                    .status = JOB_RUNNING,
                                    .start_ms = 2,
                                    .checkpoint_limit = 20,
                                    .retained = {7, 8},
                                    .retained_count = 2,
                                    .restart_count = 1,
                                    .exception_count = 1};
    job.exceptions[0] = (struct stored_exception){
        .wall_ms = 3, .code = STATUS_IO, .message = copy_text("disk"), .attempt = {9}};
    SCOPED_TEXT_BUFFER struct text out;
    text_init(&out, JOB_STORE_RECORD_MAX);
    stored_job_encode(&job, "1.0", &out);
    give_both(give, context, "job", &out);
    stored_job_done(&job);
    text_clear(&out);
    const struct stored_graph graph = {
        .job = {{{1}}}, .submit_ms = 2, .graph = (char *)"graph", .graph_size = 5};
    stored_graph_encode(&graph, "1.0", &out);
    give_both(give, context, "graph", &out);
    text_clear(&out);
    const struct stored_cluster cluster = {.attempt_limit = 1000, .cluster_id = (char *)"default"};
    stored_cluster_encode(&cluster, "1.0", &out);
    give_both(give, context, "cluster", &out);
}
