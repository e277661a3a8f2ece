"""The libraries that people use, each with its own way to write: what comes back, that a second write is refused, and
that an exception midway leaves nothing. Each is imported by the test that needs it."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from filesystem.worlds import WORLDS, World, fsspec
from storage_guard import Unsupported

INPLACE = pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame:DeprecationWarning")  # dask, of pandas
CONSOLIDATED = pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part:UserWarning")  # zarr
UNTESTED = pytest.mark.filterwarnings("ignore:UPath 'guard:UserWarning")  # upath, of every filesystem it does not list
IN_FLIGHT = "in flight, and so was discarded"
METADATA = {"overwrite_ok": ["zarr.json"]}


def library(name: str) -> Any:
    return importlib.import_module(name)


@pytest.fixture(params=[name for name in WORLDS if name != "memory"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return WORLDS[request.param](tmp_path)


class Bad:
    """Nobody can write it."""

    def __str__(self) -> str:
        raise ZeroDivisionError

    __repr__ = __str__


# pandas


def write_csv(frame: Any, url: str, **options: Any) -> None:
    frame.to_csv(url, index=False, **options)


def write_parquet(frame: Any, url: str, **options: Any) -> None:
    frame.to_parquet(url, **options)


def write_json(frame: Any, url: str, **options: Any) -> None:
    frame.to_json(url, **options)


def write_pickle(frame: Any, url: str, **options: Any) -> None:
    frame.to_pickle(url, **options)


@pytest.mark.parametrize(
    ("name", "write", "read"),
    [
        ("t.csv", write_csv, "read_csv"),
        ("t.csv.gz", write_csv, "read_csv"),
        ("t.parquet", write_parquet, "read_parquet"),
        ("t.json", write_json, "read_json"),
        ("t.pkl", write_pickle, "read_pickle"),
    ],
)
def test_pandas_writes_a_table_once(world: World, name: str, write: Callable[..., None], read: str) -> None:
    pandas = library("pandas")
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    write(frame, world.url(name), storage_options=world.options)
    assert getattr(pandas, read)(world.url(name), storage_options=world.options).equals(frame)
    before = world.read(name)
    with pytest.raises(FileExistsError):
        write(frame, world.url(name), storage_options=world.options)
    assert world.read(name) == before
    again = world.with_options(if_exists="same")
    if name != "t.csv.gz":  # pandas packs with the time in it
        write(frame, world.url(name), storage_options=again)
    with pytest.raises(FileExistsError):
        write(frame.head(1), world.url(name), storage_options=again)
    assert world.read(name) == before


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_an_exception_under_pandas_leaves_nothing(world: World, name: str) -> None:
    frame = library("pandas").DataFrame({"a": [*range(5000), Bad()]}, dtype=object)
    with pytest.warns(RuntimeWarning, match=IN_FLIGHT), pytest.raises(ZeroDivisionError):
        frame.to_csv(world.url(name), storage_options=world.options)
    assert world.names() == []


def test_pandas_appends_to_nothing(local: World) -> None:
    frame = library("pandas").DataFrame({"a": [1]})
    frame.to_csv(local.url("t.csv"), mode="x")
    before = local.read("t.csv")
    with pytest.raises(FileExistsError):
        frame.to_csv(local.url("t.csv"), mode="x")
    with pytest.raises(Unsupported):
        frame.to_csv(local.url("t.csv"), mode="a")
    assert local.read("t.csv") == before


# pyarrow


def test_pyarrow_writes_a_file_once(world: World) -> None:
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    fs, path = fsspec.url_to_fs(world.url("t.parquet"), **world.options)
    table = arrow.table({"a": [1, 2, 3]})
    parquet.write_table(table, path, filesystem=fs)
    before = world.read("t.parquet")
    with pytest.raises(FileExistsError):
        parquet.write_table(table.slice(1), path, filesystem=fs)
    assert world.read("t.parquet") == before
    assert parquet.read_table(path, filesystem=fs).equals(table)


def test_an_exception_under_a_parquet_writer_leaves_nothing(world: World) -> None:
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    fs, path = fsspec.url_to_fs(world.url("t.parquet"), **world.options)
    table = arrow.table({"a": [1, 2, 3]})

    def write() -> None:
        with parquet.ParquetWriter(path, table.schema, filesystem=fs) as writer:
            writer.write_table(table)
            raise ZeroDivisionError

    with pytest.warns(RuntimeWarning, match=IN_FLIGHT), pytest.raises(ZeroDivisionError):
        write()
    assert world.names() == []


def test_a_parquet_writer_that_is_dropped_publishes_what_it_has_and_the_docs_say_so(local: World) -> None:
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    fs, path = fsspec.url_to_fs(local.url("t.parquet"))
    table = arrow.table({"a": [1]})
    writer = parquet.ParquetWriter(path, table.schema, filesystem=fs)
    writer.write_table(table)
    del writer
    assert parquet.read_table(path, filesystem=fs).equals(table)


def test_pyarrow_removes_no_object_of_the_disk_although_it_tries(local: World) -> None:
    """`write_table` gives its path to `os.remove` when it fails: ours is no path of this machine."""
    arrow, parquet = library("pyarrow"), library("pyarrow.parquet")
    pandas = library("pandas")
    fs, path = fsspec.url_to_fs(local.url("t.parquet"))
    fs.pipe(path, b"precious")
    with pytest.raises(FileExistsError):
        parquet.write_table(arrow.table({"a": [1]}), path, filesystem=fs)
    with pytest.raises(FileExistsError):
        pandas.DataFrame({"a": [1]}).to_parquet(local.url("t.parquet"))
    assert local.read("t.parquet") == b"precious"


def test_a_pyarrow_dataset_is_written_once_and_read_back(world: World) -> None:
    arrow, dataset = library("pyarrow"), library("pyarrow.dataset")
    fs, path = fsspec.url_to_fs(world.url("set"), **world.options)
    table = arrow.table({"a": [1, 2, 3], "part": ["x", "x", "y"]})
    how: dict[str, Any] = {
        "filesystem": fs,
        "format": "parquet",
        "partitioning": ["part"],
        "partitioning_flavor": "hive",
    }
    dataset.write_dataset(table, path, **how)
    names = world.names()
    assert names == ["set/part=x/part-0.parquet", "set/part=y/part-0.parquet"]
    for behaviour in ("error", "overwrite_or_ignore"):
        with pytest.raises((FileExistsError, arrow.ArrowInvalid)):
            dataset.write_dataset(table, path, existing_data_behavior=behaviour, **how)
    found = dataset.dataset(path, filesystem=fs, format="parquet", partitioning="hive").to_table()
    assert sorted(found["a"].to_pylist()) == [1, 2, 3]
    assert world.names() == names


def test_an_exception_under_a_pyarrow_dataset_leaves_no_part_of_a_file(world: World) -> None:
    arrow, dataset = library("pyarrow"), library("pyarrow.dataset")
    fs, path = fsspec.url_to_fs(world.url("set"), **world.options)

    def batches() -> Iterator[Any]:
        yield arrow.record_batch({"a": [1]})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        dataset.write_dataset(
            batches(), path, schema=arrow.schema({"a": arrow.int64()}), filesystem=fs, format="parquet"
        )
    assert world.names() == []


def test_pyarrow_opens_our_urls_by_itself(local: World) -> None:
    arrow, parquet, filesystems = library("pyarrow"), library("pyarrow.parquet"), library("pyarrow.fs")
    table = arrow.table({"a": [1]})
    fs, path = filesystems.FileSystem.from_uri(f"fsspec+{local.url('t.parquet')}")
    parquet.write_table(table, path, filesystem=fs)
    assert parquet.read_table(f"fsspec+{local.url('t.parquet')}").equals(table)
    assert fs.get_file_info(path).size == len(local.read("t.parquet"))
    with pytest.raises(FileExistsError):
        parquet.write_table(table, f"fsspec+{local.url('t.parquet')}")
    with pytest.raises(Unsupported):
        fs.open_append_stream(path)
    assert parquet.read_table(path, filesystem=fs).equals(table)


# dask, in this process; with workers of its own in test_cluster.py


@INPLACE
def test_dask_writes_each_part_once(world: World) -> None:
    pandas, dask, frames = library("pandas"), library("dask"), library("dask.dataframe")
    table = pandas.DataFrame({"a": range(10), "b": [str(each) for each in range(10)]})
    many = frames.from_pandas(table, npartitions=3)
    options = {"storage_options": world.options}
    with dask.config.set(scheduler="threads"):
        many.to_parquet(world.url("p"), **options)
        many.to_csv(world.url("c/*.csv"), index=False, **options)
        before = {name: world.read(name) for name in world.names()}
        with pytest.raises(FileExistsError):
            many.to_parquet(world.url("p"), **options)
        with pytest.raises(FileExistsError):
            many.to_csv(world.url("c/*.csv"), index=False, **options)
        assert {name: world.read(name) for name in world.names()} == before
        assert len(before) == 6
        many.to_csv(world.url("c/*.csv"), index=False, storage_options=world.with_options(if_exists="same"))
        assert list(frames.read_parquet(world.url("p"), **options).compute()["a"]) == list(range(10))
        assert list(frames.read_csv(world.url("c/*.csv"), **options).compute()["a"]) == list(range(10))


@INPLACE
def test_dask_publishes_what_was_whole_when_a_part_failed(local: World) -> None:
    pandas, dask, frames = library("pandas"), library("dask"), library("dask.dataframe")
    many = frames.from_pandas(pandas.DataFrame({"a": range(10)}), npartitions=2)

    def fail_in_the_second(part: Any) -> Any:
        if len(part) and part["a"].iloc[0] == 5:
            raise ZeroDivisionError
        return part

    with dask.config.set(scheduler="sync"), pytest.raises(ZeroDivisionError):
        many.map_partitions(fail_in_the_second, meta={"a": "int64"}).to_csv(local.url("c/*.csv"))
    assert local.names() in ([], ["c/0.csv"])
    with dask.config.set(scheduler="sync"), pytest.raises(Unsupported):
        many.to_csv(local.url("single.csv"), single_file=True)
    assert "single.csv" in local.names()  # the first partition, and the docs say so


# zarr and xarray


def test_zarr_writes_an_array_once(world: World) -> None:
    numpy, zarr = library("numpy"), library("zarr")
    options = {"storage_options": world.options}
    data = numpy.arange(10)

    def write() -> None:
        group = zarr.open_group(world.url("z.zarr"), mode="w-", **options)
        group.create_array("x", data=data, chunks=(5,))

    write()
    before = {name: world.read(name) for name in world.names()}
    assert set(before) == {"z.zarr/zarr.json", "z.zarr/x/zarr.json", "z.zarr/x/c/0", "z.zarr/x/c/1"}
    with pytest.raises(FileExistsError):
        write()
    group = zarr.open_group(world.url("z.zarr"), mode="r+", **options)
    assert list(group["x"][:]) == list(range(10))
    with pytest.raises(FileExistsError):
        group["x"][0:2] = 7
    with pytest.raises(FileExistsError):
        group.attrs["name"] = "x"
    assert {name: world.read(name) for name in world.names()} == before


@CONSOLIDATED
def test_zarr_rewrites_what_it_may(world: World) -> None:
    numpy, zarr = library("numpy"), library("zarr")
    group = zarr.open_group(world.url("z.zarr"), mode="w-", storage_options=world.with_options(**METADATA))
    array = group.create_array("x", shape=(10,), chunks=(5,), dtype="i4")
    array[:] = numpy.arange(10)
    group.attrs["name"] = "x"
    zarr.consolidate_metadata(group.store)
    with pytest.raises(FileExistsError):
        array[0:2] = 7
    again = zarr.open_group(world.url("z.zarr"), mode="r", storage_options=world.options)
    assert (dict(again.attrs), list(again["x"][:])) == ({"name": "x"}, list(range(10)))


def test_an_exception_under_zarr_leaves_no_part_of_a_chunk(world: World) -> None:
    numpy, zarr = library("numpy"), library("zarr")

    class Failing:
        shape, dtype, ndim = (10,), numpy.dtype("i4"), 1

        def __getitem__(self, key: Any) -> Any:
            if key[0].start == 5:
                raise ZeroDivisionError
            return numpy.ones(5, "i4")

    group = zarr.open_group(world.url("z.zarr"), mode="w-", storage_options=world.options)
    array = group.create_array("x", shape=(10,), chunks=(5,), dtype="i4", compressors=None)
    with pytest.raises(ZeroDivisionError):
        array[:] = Failing()
    chunks = {name: world.read(name) for name in world.names() if "/c/" in name}
    assert chunks in ({}, {"z.zarr/x/c/0": numpy.ones(5, "<i4").tobytes()})


@CONSOLIDATED
def test_xarray_needs_its_metadata_to_be_rewritten(world: World) -> None:
    numpy, xarray = library("numpy"), library("xarray")
    data = xarray.Dataset({"v": (("t",), numpy.arange(10.0))})
    with pytest.raises(FileExistsError):
        data.to_zarr(world.url("strict.zarr"), storage_options=world.options)
    options = world.with_options(**METADATA)
    data.to_zarr(world.url("x.zarr"), storage_options=options)
    chunks = {name: world.read(name) for name in world.names() if "/c/" in name}
    with pytest.raises(FileExistsError):
        data.to_zarr(world.url("x.zarr"), storage_options=options)
    with xarray.open_zarr(world.url("x.zarr"), storage_options=world.options) as found:
        assert found.load().equals(data)
    assert {name: world.read(name) for name in world.names() if "/c/" in name} == chunks


# Through files that are open


def test_polars_writes_through_an_open_file(world: World) -> None:
    polars, fs = library("polars"), world.fs()
    table = polars.DataFrame({"a": [1, 2, 3]})
    for name, write in (("t.parquet", "write_parquet"), ("t.csv", "write_csv")):
        with fs.open(world.path(name), "wb") as file:
            getattr(table, write)(file)
        with fs.open(world.path(name)) as file:
            assert getattr(polars, write.replace("write", "read"))(file).equals(table)
        with pytest.raises(FileExistsError):
            fs.open(world.path(name), "wb")

    def fail() -> None:
        with fs.open(world.path("bad.parquet"), "wb") as file:
            table.write_parquet(file)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert world.names() == ["t.csv", "t.parquet"]


def test_joblib_and_pickle_write_through_an_open_file(world: World) -> None:
    fs, numpy = world.fs(), library("numpy")
    value = {"a": numpy.arange(3)}
    for number, module in enumerate((library("joblib"), pickle)):
        with fs.open(world.path(f"{number}"), "wb") as file:
            module.dump(value, file)
        with fs.open(world.path(f"{number}")) as file:
            assert list(module.load(file)["a"]) == [0, 1, 2]
        with pytest.raises(FileExistsError), fs.open(world.path(f"{number}"), "wb") as file:
            module.dump(value, file)

        def fail(dump: Callable[..., object]) -> None:
            with fs.open(world.path("bad"), "wb") as file:
                dump([1, lambda: None], file)

        with pytest.raises((pickle.PicklingError, AttributeError)):
            fail(module.dump)
    assert world.names() == ["0", "1"]


@UNTESTED
def test_a_upath_writes_once(world: World) -> None:
    upath = library("upath")
    folder = upath.UPath(world.url("u"), **world.options) / "v"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "w.txt"
    file.write_text("data")
    assert (file.read_text(), file.exists(), file.stat().st_size) == ("data", True, 4)
    assert [each.name for each in folder.iterdir()] == ["w.txt"]
    writes: list[Callable[[], object]] = [
        lambda: file.write_text("other"),
        lambda: file.open("x"),
        lambda: file.touch(exist_ok=False),
    ]
    for write in writes:
        with pytest.raises(FileExistsError):
            write()
    file.touch()
    (folder / "x.txt").write_bytes(b"x")
    with pytest.raises(FileExistsError):
        file.rename(folder / "x.txt")
    assert file.rename(folder / "y.txt").read_text() == "data"

    def fail() -> None:
        with (folder / "z.txt").open("w") as opened:
            opened.write("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert world.names() == ["u/v/x.txt", "u/v/y.txt"]
