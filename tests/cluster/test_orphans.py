"""What is left when jobs have ended: files that nothing refers to go when a JobManager starts, what a retained
checkpoint needs stays; ended jobs are remembered for a while."""
import pathlib
import unittest

from kit import ROOT, Cluster, read_counts, write_text

WORDCOUNT = ROOT / "examples/wordcount-file.yaml"
FAST = ("-D", "execution.checkpointing.interval=100ms")


def plant(directory, attempt):
    """What attempts and checkpoints leave that died half-way."""
    planted = [directory / "shared" / str(attempt) / "000099.sst", directory / "chk-1" / "7" / "MANIFEST-000001",
               directory / "shared" / str(attempt) / ".000100.sst.tmp"]
    for path in planted:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left by nobody")
    return planted


def files_of(directory):
    return {p: p.read_bytes() for p in directory.rglob("*") if p.is_file()}


class Orphans(unittest.TestCase):
    def start_again(self, cluster):
        cluster.job_manager.kill()
        cluster.start_job_manager()
        cluster.wait_task_managers(1)

    def test_files_of_jobs_that_ended_earlier(self):
        with Cluster(taskmanagers=1) as cluster:
            expected = write_text(cluster.directory / "in.txt", 20000)
            parameters = {"input": cluster.directory / "in.txt", "output": cluster.directory / "out"}

            def canceled(output):
                job = cluster.submit(WORDCOUNT, *FAST, input=parameters["input"], output=cluster.directory / output, rate=5000)
                cluster.wait_for(lambda: cluster.completed_checkpoints(job) >= 4, "checkpoints")
                cluster.cli("cancel", job)
                return job

            jobs = [canceled("out"), canceled("other"), canceled("third")]
            latest = cluster.get(f"/jobs/{jobs[0]}/checkpoints")["latest"]["completed"]["external_path"]
            finished = cluster.submit(WORDCOUNT, input=parameters["input"], output=cluster.directory / "whole")
            cluster.wait_state(finished, "FINISHED")
            places = {job: cluster.directory / "checkpoints" / job for job in [*jobs, finished]}
            cluster.wait_for(lambda: not places[finished].exists(), "the finished job's files to go")
            kept = {job: files_of(places[job]) for job in jobs}
            planted = {job: plant(place, 2) for job, place in places.items()}
            # A damaged checkpoint: what it referred to is not known, so nothing of that job is touched.
            (next(places[jobs[2]].glob("chk-*/_metadata"))).write_bytes(b"damaged")
            stays = files_of(places[jobs[2]])
            foreign = places[jobs[0]] / "shared" / "notes"
            foreign.mkdir()
            (foreign / "mine.txt").write_text("not a file of Millstream")

            self.start_again(cluster)
            for job in (*jobs[:2], finished):
                cluster.wait_for(lambda: not [p for p in planted[job] if p.exists()], f"the files planted in {job} to go")
            self.assertFalse(places[finished].exists())
            cluster.wait_for(lambda: "files_not_swept" in cluster.job_manager.log(), "a warning")
            self.assertEqual(files_of(places[jobs[2]]), stays)
            self.assertTrue((foreign / "mine.txt").exists())
            (foreign / "mine.txt").unlink()
            for job in jobs[:2]:
                self.assertEqual(files_of(places[job]), kept[job], "what is retained must stay as it was")

            # And it is still a checkpoint.
            again = cluster.submit(WORDCOUNT, "--from-savepoint", latest.removeprefix("file:"), **parameters, rate=0)
            cluster.wait_state(again, "FINISHED")
            self.assertEqual(read_counts(cluster.directory / "out"), expected)

    def test_files_of_running_jobs(self):
        with Cluster(taskmanagers=1) as cluster:
            expected = write_text(cluster.directory / "in.txt", 30000)
            job = cluster.submit(WORDCOUNT, *FAST, input=cluster.directory / "in.txt", output=cluster.directory / "out",
                                 rate=6000)
            cluster.wait_for(lambda: cluster.completed_checkpoints(job) >= 4, "checkpoints")
            planted = plant(pathlib.Path(cluster.directory / "checkpoints" / job), 0)
            self.start_again(cluster)
            cluster.wait_for(lambda: not [p for p in planted if p.exists()], "the planted files to go")
            cluster.wait_state(job, "FINISHED", timeout=60)
            self.assertEqual(read_counts(cluster.directory / "out"), expected)


class EndedJobs(unittest.TestCase):
    def test_so_many_are_remembered_for_so_long(self):
        options = {"jobstore.max-capacity": 2, "jobstore.expiration-time": "6s"}
        with Cluster(taskmanagers=1, options=options) as cluster:
            write_text(cluster.directory / "in.txt", 10)

            def known():
                return {job["id"] for job in cluster.get("/jobs")["jobs"]}

            jobs = []
            for i in range(3):
                jobs.append(cluster.submit(WORDCOUNT, input=cluster.directory / "in.txt", output=cluster.directory / str(i)))
                cluster.wait_state(jobs[-1], "FINISHED")
            self.assertEqual(known(), set(jobs[1:]))
            # The job store forgets with it: a new leader knows the same.
            cluster.wait_for(lambda: not (cluster.directory / "ha/store/jobs" / jobs[0]).exists(), "its record to go")
            cluster.job_manager.kill()
            cluster.start_job_manager()
            self.assertEqual(known(), set(jobs[1:]))
            cluster.wait_for(lambda: not known(), "all to be forgotten", timeout=15)


if __name__ == "__main__":
    unittest.main(verbosity=2)
