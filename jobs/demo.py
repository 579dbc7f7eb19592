"""The whole path on a small archive that it renders itself: python jobs/demo.py [out=demo_out] [fresh=1]"""

from pipeline.config import DemoConfig
from pipeline.demo.run import demo
from pipeline.job import main

if __name__ == "__main__":
    main("demo", DemoConfig, demo)
