/* What the thread sanitizer must not report: what libraries do that are not built with it. Races in
 * our own code are still found. */
const char *__tsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void)
{
    /* nng destroys the locks of an aio on a thread of its own, after handing it over in a way that
     * TSan does not see.
     *
     * RocksDB is the only C++ in the process: what it and its runtime touch through the C library
     * is left out, and with it the order that its locks make. That order is why its threads may
     * call our filter with what was made before the database was opened. */
    return "race_top:pthread_mutex_destroy\n"
           "called_from_lib:librocksdb.so\n"
           "called_from_lib:libstdc++.so\n"
           "race_top:filter_expired\n"
           "mutex:librocksdb.so\n"
           "deadlock:librocksdb.so\n";
}
