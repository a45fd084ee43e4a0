from fgvr.labelers.tasks.base import Task as Task
from fgvr.labelers.tasks.choose import ChooseTask as ChooseTask
from fgvr.labelers.tasks.describe_group import DescribeGroupTask as DescribeGroupTask
from fgvr.labelers.tasks.describe_image import DescribeImageTask as DescribeImageTask
from fgvr.labelers.tasks.discover import DiscoverTask as DiscoverTask
from fgvr.labelers.tasks.name import NameTask as NameTask
from fgvr.labelers.tasks.names import NamesTask as NamesTask
