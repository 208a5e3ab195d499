/* What the thread sanitizer must not report: libraries that are not built with it, whose locks it
 * cannot see all of. Races in our own code are still found. */
const char *__tsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:librocksdb.so\n"
           "race:librocksdb.so\n"
           "race:rocksdb::\n"
           "mutex:librocksdb.so\n"
           "deadlock:librocksdb.so\n";
}
