/* What the thread sanitizer must not report: libraries that are not built with it, whose locks it
 * cannot see all of. Races in our own code are still found. */
const char *__tsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void)
{
    /* nng destroys the locks of an aio on a thread of its own, after handing it over in a way that
     * TSan does not see. */
    return "race_top:pthread_mutex_destroy\n"
           "called_from_lib:librocksdb.so\n"
           "race:librocksdb.so\n"
           "race:rocksdb::\n"
           "race:libstdc++.so\n" /* all C++ in the process is RocksDB */
           "mutex:librocksdb.so\n"
           "deadlock:librocksdb.so\n";
}
