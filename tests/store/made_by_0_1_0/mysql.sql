/*M!999999\- enable the sandbox mode */ 
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: made
-- ------------------------------------------------------
-- Server version	10.11.19-MariaDB-0+deb12u1

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

--
-- Table structure for table `kscope_batch`
--

DROP TABLE IF EXISTS `kscope_batch`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `kscope_batch` (
  `key` binary(16) NOT NULL,
  `received` bigint(20) NOT NULL,
  `answer` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (`key`),
  KEY `ix_kscope_batch_received` (`received`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='Batches that were stored: a batch that is sent twice counts once.';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `kscope_batch`
--

LOCK TABLES `kscope_batch` WRITE;
/*!40000 ALTER TABLE `kscope_batch` DISABLE KEYS */;
INSERT INTO `kscope_batch` VALUES
(0x30313233343536373839616263646566,1795577378234795,'{\"waits\": 50}');
/*!40000 ALTER TABLE `kscope_batch` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `kscope_meta`
--

DROP TABLE IF EXISTS `kscope_meta`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `kscope_meta` (
  `name` varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `value` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='Notes of the store: its layout''s version, each category''s declared types.';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `kscope_meta`
--

LOCK TABLES `kscope_meta` WRITE;
/*!40000 ALTER TABLE `kscope_meta` DISABLE KEYS */;
INSERT INTO `kscope_meta` VALUES
('category waits','{\"time\": \"timestamp\", \"hostname\": \"string\", \"process\": \"string\", \"pid\": \"int\", \"stack\": \"stack\", \"elapsed\": \"elapsed\", \"sizes\": \"histogram\"}'),
('layout','1');
/*!40000 ALTER TABLE `kscope_meta` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `kscope_progress`
--

DROP TABLE IF EXISTS `kscope_progress`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `kscope_progress` (
  `category` varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `bucket` int(11) NOT NULL,
  `closed` bigint(20) NOT NULL,
  `removed` bigint(20) NOT NULL,
  PRIMARY KEY (`category`,`bucket`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='Up to which time (us) buckets are summed, and removed by age; bucket 0 is rows.';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `kscope_progress`
--

LOCK TABLES `kscope_progress` WRITE;
/*!40000 ALTER TABLE `kscope_progress` DISABLE KEYS */;
INSERT INTO `kscope_progress` VALUES
('waits',0,-4611686018427387904,-4611686018427387904),
('waits',3600,1728172800000000,-4611686018427387904),
('waits',86400,1728172800000000,-4611686018427387904);
/*!40000 ALTER TABLE `kscope_progress` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `kscope_rollup_1d_waits`
--

DROP TABLE IF EXISTS `kscope_rollup_1d_waits`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `kscope_rollup_1d_waits` (
  `time` bigint(20) NOT NULL COMMENT 'microseconds since the epoch, UTC',
  `seq` bigint(20) NOT NULL COMMENT 'tells rows of one microsecond apart',
  `hostname` int(11) NOT NULL COMMENT 'Host',
  `process` int(11) NOT NULL COMMENT 'Process',
  `stack` bigint(20) NOT NULL COMMENT 'Stack',
  `elapsed` bigint(20) NOT NULL COMMENT 'Elapsed, us',
  `sizes` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'Sizes',
  `kscope_rows` bigint(20) NOT NULL COMMENT 'rows summed',
  PRIMARY KEY (`time`,`seq`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='Waits, summed per 1d';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `kscope_rollup_1d_waits`
--

LOCK TABLES `kscope_rollup_1d_waits` WRITE;
/*!40000 ALTER TABLE `kscope_rollup_1d_waits` DISABLE KEYS */;
INSERT INTO `kscope_rollup_1d_waits` VALUES
(1728000000000000,95964615,1,2,8339819164685327525,240,'1:48',24),
(1728000000000000,95964625,5,4,3832864155252656660,20,'3:4',4),
(1728086400000000,95964616,1,2,8339819164685327525,240,'1:48',24);
/*!40000 ALTER TABLE `kscope_rollup_1d_waits` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `kscope_rollup_1h_waits`
--

DROP TABLE IF EXISTS `kscope_rollup_1h_waits`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `kscope_rollup_1h_waits` (
  `time` bigint(20) NOT NULL COMMENT 'microseconds since the epoch, UTC',
  `seq` bigint(20) NOT NULL COMMENT 'tells rows of one microsecond apart',
  `hostname` int(11) NOT NULL COMMENT 'Host',
  `process` int(11) NOT NULL COMMENT 'Process',
  `stack` bigint(20) NOT NULL COMMENT 'Stack',
  `elapsed` bigint(20) NOT NULL COMMENT 'Elapsed, us',
  `sizes` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'Sizes',
  `kscope_rows` bigint(20) NOT NULL COMMENT 'rows summed',
  PRIMARY KEY (`time`,`seq`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='Waits, summed per 1h';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `kscope_rollup_1h_waits`
--

LOCK TABLES `kscope_rollup_1h_waits` WRITE;
/*!40000 ALTER TABLE `kscope_rollup_1h_waits` DISABLE KEYS */;
INSERT INTO `kscope_rollup_1h_waits` VALUES
(1728000000000000,95964567,1,2,8339819164685327525,10,'1:2',1),
(1728000000000000,95964621,5,4,3832864155252656660,5,'3:1',1),
(1728003600000000,95964568,1,2,8339819164685327525,10,'1:2',1),
(1728003600000000,95964622,5,4,3832864155252656660,5,'3:1',1),
(1728007200000000,95964569,1,2,8339819164685327525,10,'1:2',1),
(1728007200000000,95964623,5,4,3832864155252656660,5,'3:1',1),
(1728010800000000,95964570,1,2,8339819164685327525,10,'1:2',1),
(1728010800000000,95964624,5,4,3832864155252656660,5,'3:1',1),
(1728014400000000,95964571,1,2,8339819164685327525,10,'1:2',1),
(1728018000000000,95964572,1,2,8339819164685327525,10,'1:2',1),
(1728021600000000,95964573,1,2,8339819164685327525,10,'1:2',1),
(1728025200000000,95964574,1,2,8339819164685327525,10,'1:2',1),
(1728028800000000,95964575,1,2,8339819164685327525,10,'1:2',1),
(1728032400000000,95964576,1,2,8339819164685327525,10,'1:2',1),
(1728036000000000,95964577,1,2,8339819164685327525,10,'1:2',1),
(1728039600000000,95964578,1,2,8339819164685327525,10,'1:2',1),
(1728043200000000,95964579,1,2,8339819164685327525,10,'1:2',1),
(1728046800000000,95964580,1,2,8339819164685327525,10,'1:2',1),
(1728050400000000,95964581,1,2,8339819164685327525,10,'1:2',1),
(1728054000000000,95964582,1,2,8339819164685327525,10,'1:2',1),
(1728057600000000,95964583,1,2,8339819164685327525,10,'1:2',1),
(1728061200000000,95964584,1,2,8339819164685327525,10,'1:2',1),
(1728064800000000,95964585,1,2,8339819164685327525,10,'1:2',1),
(1728068400000000,95964586,1,2,8339819164685327525,10,'1:2',1),
(1728072000000000,95964587,1,2,8339819164685327525,10,'1:2',1),
(1728075600000000,95964588,1,2,8339819164685327525,10,'1:2',1),
(1728079200000000,95964589,1,2,8339819164685327525,10,'1:2',1),
(1728082800000000,95964590,1,2,8339819164685327525,10,'1:2',1),
(1728086400000000,95964591,1,2,8339819164685327525,10,'1:2',1),
(1728090000000000,95964592,1,2,8339819164685327525,10,'1:2',1),
(1728093600000000,95964593,1,2,8339819164685327525,10,'1:2',1),
(1728097200000000,95964594,1,2,8339819164685327525,10,'1:2',1),
(1728100800000000,95964595,1,2,8339819164685327525,10,'1:2',1),
(1728104400000000,95964596,1,2,8339819164685327525,10,'1:2',1),
(1728108000000000,95964597,1,2,8339819164685327525,10,'1:2',1),
(1728111600000000,95964598,1,2,8339819164685327525,10,'1:2',1),
(1728115200000000,95964599,1,2,8339819164685327525,10,'1:2',1),
(1728118800000000,95964600,1,2,8339819164685327525,10,'1:2',1),
(1728122400000000,95964601,1,2,8339819164685327525,10,'1:2',1),
(1728126000000000,95964602,1,2,8339819164685327525,10,'1:2',1),
(1728129600000000,95964603,1,2,8339819164685327525,10,'1:2',1),
(1728133200000000,95964604,1,2,8339819164685327525,10,'1:2',1),
(1728136800000000,95964605,1,2,8339819164685327525,10,'1:2',1),
(1728140400000000,95964606,1,2,8339819164685327525,10,'1:2',1),
(1728144000000000,95964607,1,2,8339819164685327525,10,'1:2',1),
(1728147600000000,95964608,1,2,8339819164685327525,10,'1:2',1),
(1728151200000000,95964609,1,2,8339819164685327525,10,'1:2',1),
(1728154800000000,95964610,1,2,8339819164685327525,10,'1:2',1),
(1728158400000000,95964611,1,2,8339819164685327525,10,'1:2',1),
(1728162000000000,95964612,1,2,8339819164685327525,10,'1:2',1),
(1728165600000000,95964613,1,2,8339819164685327525,10,'1:2',1),
(1728169200000000,95964614,1,2,8339819164685327525,10,'1:2',1);
/*!40000 ALTER TABLE `kscope_rollup_1h_waits` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `kscope_rows_waits`
--

DROP TABLE IF EXISTS `kscope_rows_waits`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `kscope_rows_waits` (
  `time` bigint(20) NOT NULL COMMENT 'microseconds since the epoch, UTC',
  `seq` bigint(20) NOT NULL COMMENT 'tells rows of one microsecond apart',
  `hostname` int(11) NOT NULL COMMENT 'Host',
  `process` int(11) NOT NULL COMMENT 'Process',
  `pid` bigint(20) NOT NULL COMMENT 'Pid',
  `stack` bigint(20) NOT NULL COMMENT 'Stack',
  `elapsed` bigint(20) NOT NULL COMMENT 'Elapsed, us',
  `sizes` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'Sizes',
  PRIMARY KEY (`time`,`seq`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='Waits';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `kscope_rows_waits`
--

LOCK TABLES `kscope_rows_waits` WRITE;
/*!40000 ALTER TABLE `kscope_rows_waits` DISABLE KEYS */;
INSERT INTO `kscope_rows_waits` VALUES
(1728000000000000,95964517,1,2,7,8339819164685327525,10,'1:2'),
(1728000000000000,95964617,5,4,8,3832864155252656660,5,'3:1'),
(1728003600000000,95964518,1,2,7,8339819164685327525,10,'1:2'),
(1728003600000000,95964618,5,4,8,3832864155252656660,5,'3:1'),
(1728007200000000,95964519,1,2,7,8339819164685327525,10,'1:2'),
(1728007200000000,95964619,5,4,8,3832864155252656660,5,'3:1'),
(1728010800000000,95964520,1,2,7,8339819164685327525,10,'1:2'),
(1728010800000000,95964620,5,4,8,3832864155252656660,5,'3:1'),
(1728014400000000,95964521,1,2,7,8339819164685327525,10,'1:2'),
(1728018000000000,95964522,1,2,7,8339819164685327525,10,'1:2'),
(1728021600000000,95964523,1,2,7,8339819164685327525,10,'1:2'),
(1728025200000000,95964524,1,2,7,8339819164685327525,10,'1:2'),
(1728028800000000,95964525,1,2,7,8339819164685327525,10,'1:2'),
(1728032400000000,95964526,1,2,7,8339819164685327525,10,'1:2'),
(1728036000000000,95964527,1,2,7,8339819164685327525,10,'1:2'),
(1728039600000000,95964528,1,2,7,8339819164685327525,10,'1:2'),
(1728043200000000,95964529,1,2,7,8339819164685327525,10,'1:2'),
(1728046800000000,95964530,1,2,7,8339819164685327525,10,'1:2'),
(1728050400000000,95964531,1,2,7,8339819164685327525,10,'1:2'),
(1728054000000000,95964532,1,2,7,8339819164685327525,10,'1:2'),
(1728057600000000,95964533,1,2,7,8339819164685327525,10,'1:2'),
(1728061200000000,95964534,1,2,7,8339819164685327525,10,'1:2'),
(1728064800000000,95964535,1,2,7,8339819164685327525,10,'1:2'),
(1728068400000000,95964536,1,2,7,8339819164685327525,10,'1:2'),
(1728072000000000,95964537,1,2,7,8339819164685327525,10,'1:2'),
(1728075600000000,95964538,1,2,7,8339819164685327525,10,'1:2'),
(1728079200000000,95964539,1,2,7,8339819164685327525,10,'1:2'),
(1728082800000000,95964540,1,2,7,8339819164685327525,10,'1:2'),
(1728086400000000,95964541,1,2,7,8339819164685327525,10,'1:2'),
(1728090000000000,95964542,1,2,7,8339819164685327525,10,'1:2'),
(1728093600000000,95964543,1,2,7,8339819164685327525,10,'1:2'),
(1728097200000000,95964544,1,2,7,8339819164685327525,10,'1:2'),
(1728100800000000,95964545,1,2,7,8339819164685327525,10,'1:2'),
(1728104400000000,95964546,1,2,7,8339819164685327525,10,'1:2'),
(1728108000000000,95964547,1,2,7,8339819164685327525,10,'1:2'),
(1728111600000000,95964548,1,2,7,8339819164685327525,10,'1:2'),
(1728115200000000,95964549,1,2,7,8339819164685327525,10,'1:2'),
(1728118800000000,95964550,1,2,7,8339819164685327525,10,'1:2'),
(1728122400000000,95964551,1,2,7,8339819164685327525,10,'1:2'),
(1728126000000000,95964552,1,2,7,8339819164685327525,10,'1:2'),
(1728129600000000,95964553,1,2,7,8339819164685327525,10,'1:2'),
(1728133200000000,95964554,1,2,7,8339819164685327525,10,'1:2'),
(1728136800000000,95964555,1,2,7,8339819164685327525,10,'1:2'),
(1728140400000000,95964556,1,2,7,8339819164685327525,10,'1:2'),
(1728144000000000,95964557,1,2,7,8339819164685327525,10,'1:2'),
(1728147600000000,95964558,1,2,7,8339819164685327525,10,'1:2'),
(1728151200000000,95964559,1,2,7,8339819164685327525,10,'1:2'),
(1728154800000000,95964560,1,2,7,8339819164685327525,10,'1:2'),
(1728158400000000,95964561,1,2,7,8339819164685327525,10,'1:2'),
(1728162000000000,95964562,1,2,7,8339819164685327525,10,'1:2'),
(1728165600000000,95964563,1,2,7,8339819164685327525,10,'1:2'),
(1728169200000000,95964564,1,2,7,8339819164685327525,10,'1:2'),
(1728172800000000,95964565,1,2,7,8339819164685327525,10,'1:2'),
(1728176400000000,95964566,1,2,7,8339819164685327525,10,'1:2');
/*!40000 ALTER TABLE `kscope_rows_waits` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `kscope_stack`
--

DROP TABLE IF EXISTS `kscope_stack`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `kscope_stack` (
  `id` bigint(20) NOT NULL,
  `day` int(11) NOT NULL COMMENT 'last used, days since 1970',
  `frames` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='Every distinct stack once, folded; id is the 64-bit hash of its text.';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `kscope_stack`
--

LOCK TABLES `kscope_stack` WRITE;
/*!40000 ALTER TABLE `kscope_stack` DISABLE KEYS */;
INSERT INTO `kscope_stack` VALUES
(3832864155252656660,20782,'main;write'),
(8339819164685327525,20782,'main;read');
/*!40000 ALTER TABLE `kscope_stack` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `kscope_string`
--

DROP TABLE IF EXISTS `kscope_string`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8mb4 */;
CREATE TABLE `kscope_string` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `hash` bigint(20) NOT NULL,
  `day` int(11) NOT NULL COMMENT 'last used, days since 1970',
  `text` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `hash` (`hash`)
) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='Every distinct string once; rows hold its id.';
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `kscope_string`
--

LOCK TABLES `kscope_string` WRITE;
/*!40000 ALTER TABLE `kscope_string` DISABLE KEYS */;
INSERT INTO `kscope_string` VALUES
(1,79806415912652391,20782,'web-1'),
(2,-8172236512243305892,20782,'mysqld'),
(4,7975367386440513134,20782,'nginx'),
(5,7394269994924223466,20782,'web-2');
/*!40000 ALTER TABLE `kscope_string` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Temporary table structure for view `waits`
--

DROP TABLE IF EXISTS `waits`;
/*!50001 DROP VIEW IF EXISTS `waits`*/;
SET @saved_cs_client     = @@character_set_client;
SET character_set_client = utf8mb4;
/*!50001 CREATE VIEW `waits` AS SELECT
 NULL AS `time`,
 NULL AS `hostname`,
 NULL AS `process`,
 NULL AS `pid`,
 NULL AS `stack`,
 NULL AS `elapsed`,
 NULL AS `sizes` */;
SET character_set_client = @saved_cs_client;

--
-- Final view structure for view `waits`
--

/*!50001 DROP VIEW IF EXISTS `waits`*/;
/*!50001 SET @saved_cs_client          = @@character_set_client */;
/*!50001 SET @saved_cs_results         = @@character_set_results */;
/*!50001 SET @saved_col_connection     = @@collation_connection */;
/*!50001 SET character_set_client      = utf8mb4 */;
/*!50001 SET character_set_results     = utf8mb4 */;
/*!50001 SET collation_connection      = utf8mb4_general_ci */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`kscope`@`%` SQL SECURITY DEFINER */
/*!50001 VIEW `waits` AS select TIMESTAMP'1970-01-01 00:00:00.000000' + interval `kscope_rows_waits`.`time` microsecond AS `time`,`string_hostname`.`text` AS `hostname`,`string_process`.`text` AS `process`,`kscope_rows_waits`.`pid` AS `pid`,`stack_stack`.`frames` AS `stack`,`kscope_rows_waits`.`elapsed` AS `elapsed`,`kscope_rows_waits`.`sizes` AS `sizes` from (((`kscope_rows_waits` join `kscope_string` `string_hostname` on(`string_hostname`.`id` = `kscope_rows_waits`.`hostname`)) join `kscope_string` `string_process` on(`string_process`.`id` = `kscope_rows_waits`.`process`)) join `kscope_stack` `stack_stack` on(`stack_stack`.`id` = `kscope_rows_waits`.`stack`)) */;
/*!50001 SET character_set_client      = @saved_cs_client */;
/*!50001 SET character_set_results     = @saved_cs_results */;
/*!50001 SET collation_connection      = @saved_col_connection */;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed
