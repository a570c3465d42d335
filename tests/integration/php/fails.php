<?php
nobody_has_written_this();
