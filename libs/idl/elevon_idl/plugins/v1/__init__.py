"""Generated; see scripts/generate_stubs.py."""

from .array_job_pb2 import ArrayJob as ArrayJob
from .common_pb2 import CommonReplicaSpec as CommonReplicaSpec, RESTART_POLICY_ALWAYS as RESTART_POLICY_ALWAYS, RESTART_POLICY_NEVER as RESTART_POLICY_NEVER, RESTART_POLICY_ON_FAILURE as RESTART_POLICY_ON_FAILURE, RestartPolicy as RestartPolicy
from .dask_pb2 import DaskJob as DaskJob, DaskScheduler as DaskScheduler, DaskWorkerGroup as DaskWorkerGroup
from .mpi_pb2 import DistributedMPITrainingTask as DistributedMPITrainingTask
from .presto_pb2 import PrestoQuery as PrestoQuery
from .pytorch_pb2 import DistributedPyTorchTrainingTask as DistributedPyTorchTrainingTask, ElasticConfig as ElasticConfig
from .qubole_pb2 import HiveQuery as HiveQuery, HiveQueryCollection as HiveQueryCollection, QuboleHiveJob as QuboleHiveJob
from .ray_pb2 import AutoscalerOptions as AutoscalerOptions, HeadGroupSpec as HeadGroupSpec, RayCluster as RayCluster, RayJob as RayJob, WorkerGroupSpec as WorkerGroupSpec
from .spark_pb2 import SparkApplication as SparkApplication, SparkJob as SparkJob
from .tensorflow_pb2 import DistributedTensorflowTrainingTask as DistributedTensorflowTrainingTask
from .waitable_pb2 import Waitable as Waitable
