import os
from types import SimpleNamespace

import pytest
import torch

from fgvr.data import loader_processes as module
from fgvr.data.loader_processes import loader_processes, usable_cores
from fgvr.errors import FgvrError

CPU, GPU = torch.device("cpu"), torch.device("cuda")
PICTURE = 3 * 224 * 224 * 4


def transform(image):
    return torch.rand(3, 224, 224)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Sixteen cores, and as much shared memory as anybody needs."""

    def make(cores=16, shared=2**40):
        monkeypatch.delenv("FGVR_CORES", raising=False)
        monkeypatch.setattr(module, "_QUOTA", tmp_path / "none")
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
        monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=shared))

    make()
    return make


def auto(device, pictures=10_000, processes=1):
    return loader_processes("auto", pictures, 64, transform, device, processes)


def test_a_number_is_taken_as_it_is(machine):
    machine(cores=1, shared=0)
    assert [loader_processes(number, 1, 64, transform, CPU) for number in (0, 3)] == [0, 3]


def test_a_gpu_gets_all_cores_but_its_own_and_a_cpu_one(machine):
    assert auto(GPU) == 15
    assert auto(CPU) == 1
    machine(cores=128)
    assert auto(GPU) == 16, "more than that wait for each other"


def test_processes_of_a_job_share_the_cores(machine):
    assert auto(GPU, processes=4) == 3
    assert auto(CPU, processes=16) == 0, "there is no core left"
    machine(cores=1)
    assert (auto(GPU), auto(CPU)) == (0, 0)


@pytest.mark.parametrize(("quota", "cores"), [("200000 100000", 2), ("50000 100000", 1), ("max 100000", 16)])
def test_a_container_may_use_less(machine, monkeypatch, tmp_path, quota, cores):
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr(module, "_QUOTA", tmp_path / "cpu.max")
    assert usable_cores() == cores


def test_jobs_of_a_sweep_share_the_cores(machine, monkeypatch):
    monkeypatch.setenv("FGVR_CORES", "4")
    assert auto(GPU) == 3
    monkeypatch.setenv("FGVR_CORES", "many")
    with pytest.raises(FgvrError, match="FGVR_CORES is 'many'; expected a number of cores"):
        auto(GPU)


def test_few_pictures_are_opened_here(machine):
    assert auto(GPU, pictures=100) == 0


def test_batches_must_fit_into_shared_memory(machine):
    """A container of Docker has 64 MB, and a loader process that asks for more is killed."""
    machine(shared=64 * 2**20)
    assert auto(GPU) == 0
    machine(shared=4 * 2 * 3 * 64 * PICTURE)
    assert auto(GPU) == 2
    assert auto(GPU, processes=2) == 1


def test_where_no_shared_memory_is_shown(machine, monkeypatch, tmp_path):
    machine(shared=0)
    monkeypatch.setattr(module, "_SHARED_MEMORY", tmp_path / "none")
    assert auto(GPU) == 15


def test_nothing_is_drawn_from_the_random_numbers_of_the_run(machine):
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    auto(GPU)
    assert torch.equal(torch.rand(2), expected)
